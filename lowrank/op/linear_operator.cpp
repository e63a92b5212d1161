#include <fmt/core.h>

#include <algorithm>
#include <lowrank/op/linear_operator.hpp>

namespace lowrank {

template <Real T>
void LinearOperator<T>::multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const {
  multiply(X, Y);
  multiply_adjoint(Y, Z);
}

template <Real T>
Matrix<T> LinearOperator<T>::to_dense() const {
  constexpr Index width = 256;
  Matrix<T> A(rows(), cols(), device());
  for (Index j = 0; j < cols(); j += width) {
    const Index count = std::min(width, cols() - j);
    Matrix<T> identity(cols(), count);
    fill<T>(identity, T(0));
    for (Index c = 0; c < count; ++c) identity(j + c, c) = T(1);
    multiply(identity.to(device()), A.view().middle_cols(j, count));
  }
  return A;
}

namespace {

void check(const std::string& kind, const char* product, Index rows, Index cols, Index x_rows, Index x_cols,
           Index y_rows, Index y_cols) {
  if (x_rows != cols || y_rows != rows || x_cols != y_cols)
    throw std::invalid_argument(fmt::format("{} operator, {}: {}x{} times {}x{} does not give {}x{}", kind, product,
                                            rows, cols, x_rows, x_cols, y_rows, y_cols));
}

void check_devices(const std::string& kind, const Device& A, const Device& X, const Device& Y) {
  if (&A != &X || &A != &Y)
    throw std::invalid_argument(
        fmt::format("{} operator on {}: the panels live on {} and {}", kind, A.name(), X.name(), Y.name()));
}

}  // namespace

template <Real T>
void check_panels(const LinearOperator<T>& A, MatrixView<const T> X, MatrixView<const T> Y) {
  check(A.kind(), "multiply", A.rows(), A.cols(), X.rows(), X.cols(), Y.rows(), Y.cols());
  check_devices(A.kind(), A.device(), X.device(), Y.device());
}

template <Real T>
void check_adjoint_panels(const LinearOperator<T>& A, MatrixView<const T> X, MatrixView<const T> Y) {
  check(A.kind(), "multiply_adjoint", A.cols(), A.rows(), X.rows(), X.cols(), Y.rows(), Y.cols());
  check_devices(A.kind(), A.device(), X.device(), Y.device());
}

template void check_panels(const LinearOperator<float>&, MatrixView<const float>, MatrixView<const float>);
template void check_panels(const LinearOperator<double>&, MatrixView<const double>, MatrixView<const double>);
template void check_adjoint_panels(const LinearOperator<float>&, MatrixView<const float>, MatrixView<const float>);
template void check_adjoint_panels(const LinearOperator<double>&, MatrixView<const double>, MatrixView<const double>);
template class LinearOperator<float>;
template class LinearOperator<double>;

}  // namespace lowrank
