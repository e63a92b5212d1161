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
    multiply(identity, A.view().middle_cols(j, count));
  }
  return A;
}

template class LinearOperator<float>;
template class LinearOperator<double>;

}  // namespace lowrank
