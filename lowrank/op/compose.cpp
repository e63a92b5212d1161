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
Matrix<T> scaled_copy(MatrixView<const T> X, double factor) {
  Matrix<T> scaled = Matrix<T>::copy_of(X);
  scale_columns<T>(scaled, std::vector<double>(static_cast<std::size_t>(X.cols()), factor));
  return scaled;
}

}  // namespace

template <Real T>
void ScaledOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  A_.multiply(scaled_copy(X, factor_), Y);
}

template <Real T>
void ScaledOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  A_.multiply_adjoint(scaled_copy(X, factor_), Y);
}

template <Real T>
std::optional<double> ScaledOperator<T>::residual_norm(MatrixView<const T> L, MatrixView<const T> R) const {
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
