#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/op/compose.hpp>
#include <stdexcept>

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

namespace {

/// The triangle of a QR factorization of X, in double and on the host; X itself where that is no taller than wide.
template <Real T>
Matrix<double> triangle(MatrixView<const T> X) {
  if (X.rows() <= X.cols()) return to_double<T>(X);
  if constexpr (std::is_same_v<T, double>) {
    Matrix<double> work(X.rows(), X.cols(), X.device());
    copy<double>(X, work);
    return householder_qr<double>(work);
  } else {
    Matrix<double> work = to_double<T>(X);
    return householder_qr<double>(work);
  }
}

/// ‖L·R‖_F of finite factors from the triangles of both: Gram matrices would lose what cancels, or leave the range.
template <Real T>
double product_norm(MatrixView<const T> L, MatrixView<const T> R) {
  if (L.empty() || R.empty()) return 0;
  Matrix<double> left = triangle<T>(L), right = triangle<T>(R.transposed());
  int exponents = 0;
  for (Matrix<double>* each : {&left, &right}) {
    const double norm = lowrank::frobenius_norm<double>(*each);
    if (norm == 0) return 0;
    const int exponent = std::isfinite(norm) ? std::ilogb(norm) : std::numeric_limits<double>::max_exponent;
    exponents += exponent;
    for (Index j = 0; j < each->cols(); ++j)
      for (Index i = 0; i < each->rows(); ++i) (*each)(i, j) = std::ldexp((*each)(i, j), -exponent);
  }
  return std::ldexp(lowrank::frobenius_norm<double>(product<double>(left, right.view().transposed())), exponents);
}

template <Real T>
void require_finite(const char* factor, MatrixView<const T> X) {
  if (std::isfinite(lowrank::frobenius_norm<T>(X))) return;
  if (const auto place = first_nonfinite<T>(X))
    throw std::invalid_argument(fmt::format("the factor {} of a product has {} at row {}, column {} (counted from 0)",
                                            factor, std::isnan(place->value) ? "NaN" : "Inf", place->row, place->col));
}

}  // namespace

template <Real T>
std::optional<double> ProductOperator<T>::frobenius_norm() const {
  require_finite<T>("L", L_);
  require_finite<T>("R", R_);
  return product_norm<T>(L_, R_);
}

template <Real T>
std::optional<double> ProductOperator<T>::residual_norm(MatrixView<const T> L, MatrixView<const T> R) const {
  // [L_, -L]·[R_; R].
  const Index r = L_.cols(), k = L.cols();
  Matrix<T> left(rows(), r + k, device()), right(r + k, cols(), device());
  copy<T>(L_, left.left_cols(r));
  fill<T>(left.view().middle_cols(r, k), T(0));
  add<T>(T(-1), L, left.view().middle_cols(r, k));
  copy<T>(R_, right.view().middle_rows(0, r));
  copy<T>(R, right.view().middle_rows(r, k));
  return product_norm<T>(left, right);
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
  if (factor_ == 0) return ProductOperator<T>(L, R).frobenius_norm();
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
