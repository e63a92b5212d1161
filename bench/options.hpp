#pragma once

#include <lowrank/core/types.hpp>
#include <string>
#include <vector>

namespace lowrank::bench {

/// What the command line asked for. Empty or 0: each benchmark's own default.
struct Options {
  Index rows = 0, cols = 0;
  std::vector<std::string> dtypes;
  std::vector<Index> ranks;
  std::vector<Index> sizes;
  std::vector<Index> columns;
  std::vector<std::string> families;
  std::vector<std::string> methods;
  std::vector<int> threads;
  Index entries = 10'000'000;  ///< of the sparse matrix
  int repeats = 5;
  std::uint64_t seed = 0;
  std::string device = "cuda";  ///< of the benchmark device
  std::string json, plot;
};

template <class Value>
std::vector<Value> or_default(const std::vector<Value>& given, std::vector<Value> otherwise) {
  return given.empty() ? otherwise : given;
}

}  // namespace lowrank::bench
