#pragma once

#include <lowrank/svd/svd.hpp>

#include "input.hpp"
#include "report.hpp"

namespace lowrank::tools {

/// What svd and factor have in common: the matrix, the wish and the method.
struct Decomposition {
  std::string file, method = "auto";
  std::optional<Index> rank;
  std::optional<double> energy, rtol;
  bool tf32 = false;
  std::uint64_t seed = 0;
  Index memory = default_memory;

  void describe(Arguments& arguments);
  /// What is wrong without a look at the matrix. Throws UsageError.
  void check() const;
  bool has_wish() const { return rank || energy || rtol; }
  /// Throws UsageError when the rank is beyond the matrix. Without a wish: the leading 10.
  Truncation wish(const Input& input) const;
};

/// A must be the operator of `input`. A result that missed its aim is warned of.
template <Real T>
Svd<T> decompose(const CommandLine& command, const Decomposition& request, const Input& input,
                 const LinearOperator<T>& A);

/// The part of the kept triplets in ‖A‖_F², cumulative; empty for a zero matrix.
template <Real T>
std::vector<double> cumulative_energy(const Svd<T>& svd);

/// The keys that svd and factor share.
template <Real T>
Json as_json(const CommandLine& command, const Svd<T>& svd, const Input& input);

/// Error, bound, method and time as lines of text.
template <Real T>
std::vector<std::pair<std::string, std::string>> summary(const Svd<T>& svd);

}  // namespace lowrank::tools
