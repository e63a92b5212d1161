#pragma once

#include <algorithm>
#include <cmath>
#include <lowrank/core/types.hpp>

namespace lowrank {

/// A power of two that brings ‖A‖ towards 1 where squares or sums of products could leave the range of T, else 1. The
/// power itself and a panel times it stay in range.
template <Real T>
double safe_scale(double norm) {
  constexpr double far = std::is_same_v<T, float> ? 1e12 : 1e100;
  constexpr int most = std::is_same_v<T, float> ? 100 : 1000;
  if (!(norm > 0) || (norm < far && norm > 1 / far)) return 1;
  return std::ldexp(1.0, std::clamp(-std::ilogb(norm), -most, most));
}

}  // namespace lowrank
