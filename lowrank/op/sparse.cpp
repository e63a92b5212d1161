#include <algorithm>
#include <cmath>
#include <lowrank/op/entries.hpp>
#include <lowrank/op/sparse.hpp>

namespace lowrank {
namespace {

/// Y = A·X for rows of A compressed. The panel is taken by rows: an entry of A then meets k neighbouring numbers.
template <Real T>
void rows_times_panel(const SparseMatrix<T>& A, MatrixView<const T> X, MatrixView<T> Y) {
  const Index k = X.cols();
  Matrix<T> rows_of_x;
  if (X.order() != Order::row_major) {
    rows_of_x = Matrix<T>::copy_of(X, Order::row_major);
    X = rows_of_x.view();
  }
  const auto* start = A.outerIndexPtr();
  const auto* col = A.innerIndexPtr();
  const T* value = A.valuePtr();
#pragma omp parallel
  {
    std::vector<T> sum(static_cast<std::size_t>(k));
#pragma omp for schedule(dynamic, 256)
    for (Index i = 0; i < A.rows(); ++i) {
      std::fill(sum.begin(), sum.end(), T(0));
      for (Index e = start[i]; e < start[i + 1]; ++e) {
        const T a = value[e];
        const T* x = X.data() + col[e] * X.ld();
        for (Index j = 0; j < k; ++j) sum[static_cast<std::size_t>(j)] += a * x[j];
      }
      for (Index j = 0; j < k; ++j) Y(i, j) = sum[static_cast<std::size_t>(j)];
    }
  }
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
                          : compressed(SparseMatrix<T>(A))) {}

template <Real T>
SparseOperator<T>::SparseOperator(SparseMatrix<T>&& A) : A_(compressed(std::move(A))) {}

template <Real T>
const SparseMatrix<T>& SparseOperator<T>::adjoint() const {
  if (!adjoint_) adjoint_ = std::make_shared<const SparseMatrix<T>>(A_->transpose());
  return *adjoint_;
}

template <Real T>
void SparseOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  check_panels<T>(*this, X, Y);
  rows_times_panel<T>(*A_, X, Y);
}

template <Real T>
void SparseOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  check_adjoint_panels<T>(*this, X, Y);
  rows_times_panel<T>(adjoint(), X, Y);
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
