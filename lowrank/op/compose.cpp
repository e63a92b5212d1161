#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/op/compose.hpp>

namespace lowrank {

template <Real T>
ProductOperator<T>::ProductOperator(MatrixView<const T> L, MatrixView<const T> R) : L_(L), R_(R) {
  if (L.cols() != R.rows())
    throw std::invalid_argument(
        fmt::format("ProductOperator: {}x{} times {}x{}", L.rows(), L.cols(), R.rows(), R.cols()));
}

template <Real T>
void ProductOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  const Matrix<T> inner = product<T>(R_, X);
  lowrank::multiply<T>(T(1), L_, inner, T(0), Y);
}

template <Real T>
void ProductOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  const Matrix<T> inner = product<T>(L_.transposed(), X);
  lowrank::multiply<T>(T(1), R_.transposed(), inner, T(0), Y);
}

template <Real T>
std::optional<double> ProductOperator<T>::frobenius_norm() const {
  // ‖L·R‖² = tr(Rᵀ·LᵀL·R) = <LᵀL, R·Rᵀ>.
  const Matrix<double> left = gram<T>(L_), right = gram<T>(R_.transposed());
  double sum = 0;
  for (Index j = 0; j < left.cols(); ++j)
    for (Index i = 0; i < left.rows(); ++i) sum += left(i, j) * right(i, j);
  return std::sqrt(std::max(0.0, sum));
}

template <Real T>
Matrix<T> ProductOperator<T>::to_dense() const {
  return product<T>(L_, R_);
}

template <Real T>
DifferenceOperator<T>::DifferenceOperator(const LinearOperator<T>& A, const LinearOperator<T>& B) : A_(A), B_(B) {
  if (A.rows() != B.rows() || A.cols() != B.cols())
    throw std::invalid_argument(
        fmt::format("DifferenceOperator: {}x{} and {}x{}", A.rows(), A.cols(), B.rows(), B.cols()));
}

template <Real T>
void DifferenceOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  Matrix<T> other(rows(), X.cols(), device());
  A_.multiply(X, Y);
  B_.multiply(X, other);
  add<T>(T(-1), other, Y);
}

template <Real T>
void DifferenceOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  Matrix<T> other(cols(), X.cols(), device());
  A_.multiply_adjoint(X, Y);
  B_.multiply_adjoint(X, other);
  add<T>(T(-1), other, Y);
}

namespace {

template <Real T>
void scale(MatrixView<T> X, double factor) {
  scale_columns<T>(X, std::vector<double>(static_cast<std::size_t>(X.cols()), factor));
}

template <Real T>
Matrix<T> scaled_copy(MatrixView<const T> X, double factor) {
  Matrix<T> scaled = Matrix<T>::copy_of(X);
  scale<T>(scaled, factor);
  return scaled;
}

}  // namespace

// Half of the factor before and half after, so that neither the panel nor its image leaves T's range, in an operator
// that is scaled twice either.

template <Real T>
void ScaledOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  A_.multiply(scaled_copy(X, before_), Y);
  scale<T>(Y, factor_ / before_);
}

template <Real T>
void ScaledOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  A_.multiply_adjoint(scaled_copy(X, before_), Y);
  scale<T>(Y, factor_ / before_);
}

template <Real T>
std::optional<double> ScaledOperator<T>::residual_norm(MatrixView<const T> L, MatrixView<const T> R) const {
  if (const auto entries = A_.entries()) {
    constexpr Index block = Index{1} << 22;
    const Index rows = std::max<Index>(1, block / std::max<Index>(1, entries->cols()));
    double norm = 0;
    for (Index i = 0; i < entries->rows(); i += rows) {
      const Index here = std::min(rows, entries->rows() - i);
      const Matrix<T> scaled = scaled_copy(entries->middle_rows(i, here), factor_);
      norm = std::hypot(norm, difference_norm<T>(scaled, L.middle_rows(i, here), R));
    }
    return norm;
  }
  // cA - L·R = c·(A - (L/c)·R), with a power of two for c.
  const auto norm = A_.residual_norm(scaled_copy(L, 1 / factor_), R);
  return norm ? std::optional(*norm * std::abs(factor_)) : std::nullopt;
}

template <Real T>
std::optional<double> ScaledOperator<T>::frobenius_norm() const {
  const auto norm = A_.frobenius_norm();
  return norm ? std::optional(*norm * std::abs(factor_)) : std::nullopt;
}

template <Real T>
Matrix<T> ScaledOperator<T>::to_dense() const {
  return scaled_copy<T>(A_.to_dense(), factor_);
}

template class ProductOperator<float>;
template class ProductOperator<double>;
template class DifferenceOperator<float>;
template class DifferenceOperator<double>;
template class ScaledOperator<float>;
template class ScaledOperator<double>;

}  // namespace lowrank
