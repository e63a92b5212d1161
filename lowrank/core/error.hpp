#pragma once

#include <stdexcept>
#include <string>

namespace lowrank {

/// The environment failed: a file, the memory, a device, LAPACK. A caller's mistake is a
/// std::invalid_argument; a numerical outcome (not converged, rank uncertain) stands in the result.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace lowrank
