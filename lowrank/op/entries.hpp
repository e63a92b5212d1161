#pragma once

#include <fmt/core.h>

#include <cmath>
#include <lowrank/core/primitives.hpp>
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

/// ‖X - L·R‖_F, the difference formed in blocks of rows small enough for the cache to help and wide enough for BLAS.
template <Real T>
double difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) {
  const Index block = std::clamp<Index>((Index{1} << 21) / std::max<Index>(1, X.cols()), 16, 1024);
  double norm = 0;
  for (Index i = 0; i < X.rows(); i += block) {
    const Index rows = std::min(block, X.rows() - i);
    Matrix<T> E = Matrix<T>::copy_of(X.middle_rows(i, rows), X.order());
    multiply<T>(T(-1), L.middle_rows(i, rows), R, T(1), E);
    norm = std::hypot(norm, frobenius_norm<T>(E));
  }
  return norm;
}

}  // namespace lowrank
