#include <algorithm>
#include <cmath>
#include <lowrank/op/blocks.hpp>
#include <lowrank/op/entries.hpp>

namespace lowrank {

template <Real T>
void BlockOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  check_panels<T>(*this, X, Y);
  if (this->cols() == 0 || block_order() == Order::col_major) fill<T>(Y, T(0));
  if (block_order() == Order::row_major)
    visit_blocks([&](MatrixView<const T> A, Index row, Index) {
      lowrank::multiply<T>(T(1), A, X, T(0), Y.middle_rows(row, A.rows()));
    });
  else
    visit_blocks([&](MatrixView<const T> A, Index, Index col) {
      lowrank::multiply<T>(T(1), A, X.middle_rows(col, A.cols()), T(1), Y);
    });
}

template <Real T>
void BlockOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  check_adjoint_panels<T>(*this, X, Y);
  if (this->rows() == 0 || block_order() == Order::row_major) fill<T>(Y, T(0));
  if (block_order() == Order::col_major)
    visit_blocks([&](MatrixView<const T> A, Index, Index col) {
      lowrank::multiply<T>(T(1), A.transposed(), X, T(0), Y.middle_rows(col, A.cols()));
    });
  else
    visit_blocks([&](MatrixView<const T> A, Index row, Index) {
      lowrank::multiply<T>(T(1), A.transposed(), X.middle_rows(row, A.rows()), T(1), Y);
    });
}

template <Real T>
void BlockOperator<T>::multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const {
  if (block_order() == Order::col_major) return LinearOperator<T>::multiply_normal(X, Y, Z);
  check_panels<T>(*this, X, Y);
  check_adjoint_panels<T>(*this, Y, Z);
  fill<T>(Z, T(0));
  if (this->cols() == 0) fill<T>(Y, T(0));
  visit_blocks([&](MatrixView<const T> A, Index row, Index) {
    const MatrixView<T> part = Y.middle_rows(row, A.rows());
    lowrank::multiply<T>(T(1), A, X, T(0), part);
    lowrank::multiply<T>(T(1), A.transposed(), part, T(1), Z);
  });
}

template <Real T>
std::optional<double> BlockOperator<T>::frobenius_norm() const {
  double norm = 0;
  visit_blocks(
      [&](MatrixView<const T> A, Index row, Index col) { norm = std::hypot(norm, finite_norm<T>(A, row, col)); });
  return norm;
}

template <Real T>
std::optional<double> BlockOperator<T>::residual_norm(MatrixView<const T> L, MatrixView<const T> R) const {
  double norm = 0;
  visit_blocks([&](MatrixView<const T> A, Index row, Index col) {
    norm = std::hypot(norm, difference_norm<T>(A, L.middle_rows(row, A.rows()), R.middle_cols(col, A.cols())));
  });
  return norm;
}

template <Real T>
Matrix<T> BlockOperator<T>::to_dense() const {
  Matrix<T> dense(this->rows(), this->cols(), block_order(), this->device());
  visit_blocks([&](MatrixView<const T> A, Index row, Index col) {
    copy<T>(A, dense.view().block(row, col, A.rows(), A.cols()));
  });
  return dense;
}

template <Real T>
void DenseBlocks<T>::visit_blocks(const typename BlockOperator<T>::Visitor& visit) const {
  if (A_.empty()) return;
  const bool by_rows = A_.order() == Order::row_major;
  const Index lines = by_rows ? A_.rows() : A_.cols(), length = by_rows ? A_.cols() : A_.rows();
  const Index count = std::clamp<Index>(block_bytes_ / (length * static_cast<Index>(sizeof(T))), 1, lines);
  for (Index line = 0; line < lines; line += count) {
    const Index here = std::min(count, lines - line);
    if (by_rows)
      visit(A_.middle_rows(line, here), line, 0);
    else
      visit(A_.middle_cols(line, here), 0, line);
  }
}

template <Real T>
void MovedBlocks<T>::visit_blocks(const typename BlockOperator<T>::Visitor& visit) const {
  source_.visit_blocks([&](MatrixView<const T> A, Index row, Index col) {
    Matrix<T> moved(A.rows(), A.cols(), A.order(), device_);
    copy<T>(A, moved);
    visit(moved, row, col);
  });
}

template class BlockOperator<float>;
template class BlockOperator<double>;
template class DenseBlocks<float>;
template class DenseBlocks<double>;
template class MovedBlocks<float>;
template class MovedBlocks<double>;

}  // namespace lowrank
