#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/op/linear_operator.hpp>
#include <stdexcept>

namespace lowrank {

/// ‖A‖_F as far as the operator tells it.
template <Real T>
std::optional<double> known_norm(const LinearOperator<T>& A) {
  const std::optional<double> norm = A.frobenius_norm();
  if (norm && std::isinf(*norm))
    throw std::invalid_argument("the Frobenius norm of the matrix is beyond the range of double");
  if (norm && !(*norm >= 0))
    throw std::invalid_argument(fmt::format("frobenius_norm() of the {} says {}", A.kind(), *norm));
  return norm;
}

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
