#pragma once

#include <lowrank/core/types.hpp>
#include <string>

namespace lowrank {

/// Where a dense matrix of T (little-endian, no gaps) lies in a file.
template <Real T>
struct FileLayout {
  std::string path;
  Index offset = 0;  ///< bytes before the first entry
  Index rows = 0, cols = 0;
  Order order = Order::row_major;
};

}  // namespace lowrank
