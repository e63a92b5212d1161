#pragma once

#include <fmt/core.h>

#include <cmath>
#include <lowrank/op/linear_operator.hpp>
#include <stdexcept>

namespace lowrank {

[[noreturn]] inline void refuse_nonfinite(double value, Index row, Index col) {
  throw std::invalid_argument(fmt::format("the matrix has {} at row {}, column {} (counted from 0)",
                                          std::isnan(value) ? "NaN" : "Inf", row, col));
}

/// ‖X‖_F; throws std::invalid_argument naming the first NaN or Inf. `first_row` and `first_col` place X within the
/// whole matrix.
template <Real T>
double finite_norm(MatrixView<const T> X, Index first_row = 0, Index first_col = 0) {
  const double norm = frobenius_norm<T>(X);
  if (std::isfinite(norm)) return norm;
  if (const auto place = first_nonfinite<T>(X))
    refuse_nonfinite(place->value, first_row + place->row, first_col + place->col);
  throw std::invalid_argument("the Frobenius norm of the matrix is beyond the range of double");
}

/// ‖A‖_F as far as the operator tells it; throws std::invalid_argument where that is no norm.
template <Real T>
std::optional<double> known_norm(const LinearOperator<T>& A) {
  const std::optional<double> norm = A.frobenius_norm();
  if (norm && std::isinf(*norm))
    throw std::invalid_argument("the Frobenius norm of the matrix is beyond the range of double");
  if (norm && !(*norm >= 0))
    throw std::invalid_argument(fmt::format("frobenius_norm() of the {} says {}", A.kind(), *norm));
  return norm;
}

/// A.to_dense(); throws std::invalid_argument naming the first NaN or Inf.
template <Real T>
Matrix<T> finite_dense(const LinearOperator<T>& A) {
  Matrix<T> dense = A.to_dense();
  finite_norm<T>(dense);
  return dense;
}

}  // namespace lowrank
