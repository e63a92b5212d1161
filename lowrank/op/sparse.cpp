#include <algorithm>
#include <cmath>
#include <lowrank/core/sparse_multiply.hpp>
#include <lowrank/op/entries.hpp>
#include <lowrank/op/sparse.hpp>

namespace lowrank {
namespace {

template <Real T>
CompressedRows<T> rows_of(const SparseMatrix<T>& A, bool sorted) {
  return {A.rows(), A.cols(), A.outerIndexPtr(), A.innerIndexPtr(), A.valuePtr(), sorted};
}

/// Whether each row's entries follow their columns. Eigen keeps them so, but others may have filled the arrays.
template <Real T>
bool has_sorted_rows(const SparseMatrix<T>& A) {
  bool sorted = true;
#pragma omp parallel for schedule(static) reduction(&& : sorted) if (A.nonZeros() > 1 << 15)
  for (Index i = 0; i < A.rows(); ++i)
    sorted = sorted &&
             std::is_sorted(A.innerIndexPtr() + A.outerIndexPtr()[i], A.innerIndexPtr() + A.outerIndexPtr()[i + 1]);
  return sorted;
}

template <Real T>
std::shared_ptr<const SparseMatrix<T>> compressed(SparseMatrix<T>&& A) {
  A.makeCompressed();
  return std::make_shared<const SparseMatrix<T>>(std::move(A));
}

}  // namespace

template <Real T>
SparseOperator<T>::SparseOperator(const SparseMatrix<T>& A)
    : A_(A.isCompressed() ? std::shared_ptr<const SparseMatrix<T>>(std::shared_ptr<void>(), &A)
                          : compressed(SparseMatrix<T>(A))),
      sorted_(has_sorted_rows(*A_)) {}

template <Real T>
SparseOperator<T>::SparseOperator(SparseMatrix<T>&& A) : A_(compressed(std::move(A))), sorted_(has_sorted_rows(*A_)) {}

template <Real T>
const SparseMatrix<T>& SparseOperator<T>::adjoint() const {
  if (!adjoint_) adjoint_ = std::make_shared<const SparseMatrix<T>>(A_->transpose());
  return *adjoint_;
}

template <Real T>
void SparseOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  check_panels<T>(*this, X, Y);
  sparse_multiply<T>(rows_of<T>(*A_, sorted_), X, Y);
}

template <Real T>
void SparseOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  check_adjoint_panels<T>(*this, X, Y);
  sparse_multiply<T>(rows_of<T>(adjoint(), true), X, Y);
}

template <Real T>
std::optional<double> SparseOperator<T>::frobenius_norm() const {
  const MatrixView<const T> values(A_->valuePtr(), A_->nonZeros(), 1, std::max<Index>(1, A_->nonZeros()));
  const double norm = lowrank::frobenius_norm<T>(values);
  if (std::isfinite(norm)) return norm;
  for (Index i = 0; i < A_->rows(); ++i)
    for (typename SparseMatrix<T>::InnerIterator e(*A_, i); e; ++e)
      if (!std::isfinite(e.value())) refuse_nonfinite(static_cast<double>(e.value()), e.row(), e.col());
  return norm;
}

template <Real T>
Matrix<T> SparseOperator<T>::to_dense() const {
  Matrix<T> A(rows(), cols(), Order::row_major);
  fill<T>(A, T(0));
  for (Index i = 0; i < A_->rows(); ++i)
    for (typename SparseMatrix<T>::InnerIterator e(*A_, i); e; ++e) A(i, e.col()) += e.value();
  return A;
}

template class SparseOperator<float>;
template class SparseOperator<double>;

}  // namespace lowrank
