#include <algorithm>
#include <cmath>
#include <lowrank/core/sparse_multiply.hpp>
#include <lowrank/op/entries.hpp>
#include <lowrank/op/sparse.hpp>
#include <mutex>

namespace lowrank {
namespace {

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

/// The entries by rows and, from the first need on, by columns. A product that adds to the long side of a matrix (each
/// of its lines meets rows of the short panel) and one that adds to its short side (each line is added to rows of the
/// short panel) both go through the lines of the long side, so that the panel that is met in any order is the small
/// one.
template <Real T>
class SparseOperator<T>::Entries {
 public:
  explicit Entries(std::shared_ptr<const SparseMatrix<T>> A) : A_(std::move(A)), sorted_(has_sorted_rows(*A_)) {}

  const SparseMatrix<T>& matrix() const { return *A_; }

  template <Real P>
  void multiply(MatrixView<const P> X, MatrixView<P> Y) const {
    const bool wide = A_->cols() / 2 >= A_->rows();
    if (wide && few_threads<P>(X.cols()) && has_adjoint())
      sparse_multiply_transposed<P>(by_cols(), X, Y);
    else
      sparse_multiply<P>(by_rows(), X, Y);
  }

  template <Real P>
  void multiply_adjoint(MatrixView<const P> X, MatrixView<P> Y) const {
    const bool tall = A_->rows() / 2 >= A_->cols();
    if (tall && few_threads<P>(X.cols()))
      sparse_multiply_transposed<P>(by_rows(), X, Y);
    else
      sparse_multiply<P>(by_cols(), X, Y);
  }

 private:
  /// Whether sparse_multiply_transposed, whose threads share the columns of the panel, is the faster one.
  template <Real P>
  static bool few_threads(Index columns) {
    constexpr Index line = 64 / static_cast<Index>(sizeof(P));
    return threads() <= 2 * ((columns + line - 1) / line);
  }

  CompressedRows<T> by_rows() const { return rows_of(*A_, sorted_); }
  bool has_adjoint() const {
    const std::lock_guard lock(mutex_);
    return adjoint_ != nullptr;
  }
  CompressedRows<T> by_cols() const {
    const std::lock_guard lock(mutex_);
    if (!adjoint_) adjoint_ = std::make_unique<const SparseMatrix<T>>(A_->transpose());
    return rows_of(*adjoint_, true);
  }
  static CompressedRows<T> rows_of(const SparseMatrix<T>& A, bool sorted) {
    return {A.rows(), A.cols(), A.outerIndexPtr(), A.innerIndexPtr(), A.valuePtr(), sorted};
  }

  std::shared_ptr<const SparseMatrix<T>> A_;
  bool sorted_;
  mutable std::mutex mutex_;  // Several threads may use an operator, and its copies share this.
  mutable std::unique_ptr<const SparseMatrix<T>> adjoint_;
};

namespace {

/// A double matrix whose entries are rounded to float as they meet a panel.
class RoundedSparseOperator final : public LinearOperator<float> {
 public:
  using Entries = SparseOperator<double>::Entries;
  explicit RoundedSparseOperator(std::shared_ptr<const Entries> entries) : entries_(std::move(entries)) {}

  Index rows() const override { return entries_->matrix().rows(); }
  Index cols() const override { return entries_->matrix().cols(); }
  void multiply(MatrixView<const float> X, MatrixView<float> Y) const override {
    check_panels<float>(*this, X, Y);
    entries_->multiply<float>(X, Y);
  }
  void multiply_adjoint(MatrixView<const float> X, MatrixView<float> Y) const override {
    check_adjoint_panels<float>(*this, X, Y);
    entries_->multiply_adjoint<float>(X, Y);
  }
  std::string kind() const override { return "sparse, rounded"; }
  double flops_per_column() const override { return 2.0 * static_cast<double>(entries_->matrix().nonZeros()); }

 private:
  std::shared_ptr<const Entries> entries_;
};

}  // namespace

template <Real T>
SparseOperator<T>::SparseOperator(const SparseMatrix<T>& A)
    : entries_(std::make_shared<const Entries>(A.isCompressed()
                                                   ? std::shared_ptr<const SparseMatrix<T>>(std::shared_ptr<void>(), &A)
                                                   : compressed(SparseMatrix<T>(A)))) {}

template <Real T>
SparseOperator<T>::SparseOperator(SparseMatrix<T>&& A)
    : entries_(std::make_shared<const Entries>(compressed(std::move(A)))) {}

template <Real T>
Index SparseOperator<T>::rows() const {
  return entries_->matrix().rows();
}

template <Real T>
Index SparseOperator<T>::cols() const {
  return entries_->matrix().cols();
}

template <Real T>
double SparseOperator<T>::flops_per_column() const {
  return 2.0 * static_cast<double>(entries_->matrix().nonZeros());
}

template <Real T>
void SparseOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  check_panels<T>(*this, X, Y);
  entries_->template multiply<T>(X, Y);
}

template <Real T>
void SparseOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  check_adjoint_panels<T>(*this, X, Y);
  entries_->template multiply_adjoint<T>(X, Y);
}

template <Real T>
std::optional<double> SparseOperator<T>::frobenius_norm() const {
  const SparseMatrix<T>& A = entries_->matrix();
  const MatrixView<const T> values(A.valuePtr(), A.nonZeros(), 1, std::max<Index>(1, A.nonZeros()));
  const double norm = lowrank::frobenius_norm<T>(values);
  if (std::isfinite(norm)) return norm;
  for (Index i = 0; i < A.rows(); ++i)
    for (typename SparseMatrix<T>::InnerIterator e(A, i); e; ++e)
      if (!std::isfinite(e.value())) refuse_nonfinite(static_cast<double>(e.value()), e.row(), e.col());
  return norm;
}

template <Real T>
std::optional<double> SparseOperator<T>::residual_norm(MatrixView<const T> L, MatrixView<const T> R) const {
  const Index m = rows(), n = cols();
  constexpr double most = 0x1p40;
  if (2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(L.cols()) > most) return std::nullopt;
  const SparseMatrix<T>& A = entries_->matrix();
  constexpr Index block = Index{1} << 22;
  const Index height = std::clamp<Index>(block / std::max<Index>(1, n), 1, std::max<Index>(1, m));
  double norm = 0;
  Matrix<T> E(height, n, Order::row_major);
  for (Index i0 = 0; i0 < m; i0 += height) {
    const MatrixView<T> here = E.view().middle_rows(0, std::min(height, m - i0));
    lowrank::multiply<T>(T(1), L.middle_rows(i0, here.rows()), R, T(0), here);
#pragma omp parallel for schedule(static)
    for (Index i = 0; i < here.rows(); ++i)
      for (typename SparseMatrix<T>::InnerIterator e(A, i0 + i); e; ++e) here(i, e.col()) -= e.value();
    norm = std::hypot(norm, lowrank::frobenius_norm<T>(here));
  }
  return norm;
}

template <Real T>
Matrix<T> SparseOperator<T>::to_dense() const {
  Matrix<T> dense(rows(), cols(), Order::row_major);
  fill<T>(dense, T(0));
  const SparseMatrix<T>& A = entries_->matrix();
  for (Index i = 0; i < A.rows(); ++i)
    for (typename SparseMatrix<T>::InnerIterator e(A, i); e; ++e) dense(i, e.col()) += e.value();
  return dense;
}

template <Real T>
std::unique_ptr<LinearOperator<float>> SparseOperator<T>::rounded(Rounding to) const {
  constexpr Index small = 192;  // Below, all products are quick.
  if constexpr (std::is_same_v<T, double>)
    if (to == Rounding::to_float && std::min(rows(), cols()) > small)
      return std::make_unique<RoundedSparseOperator>(entries_);
  return nullptr;
}

template class SparseOperator<float>;
template class SparseOperator<double>;

}  // namespace lowrank
