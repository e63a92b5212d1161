#include <lowrank/op/dense.hpp>
#include <lowrank/op/entries.hpp>

namespace lowrank {

template <Real T>
void DenseOperator<T>::multiply(MatrixView<const T> X, MatrixView<T> Y) const {
  lowrank::multiply<T>(T(1), A_, X, T(0), Y);
}

template <Real T>
void DenseOperator<T>::multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const {
  lowrank::multiply<T>(T(1), A_.transposed(), X, T(0), Y);
}

template <Real T>
std::optional<double> DenseOperator<T>::frobenius_norm() const {
  return finite_norm<T>(A_);
}

template <Real T>
std::optional<double> DenseOperator<T>::residual_norm(MatrixView<const T> L, MatrixView<const T> R) const {
  return difference_norm<T>(A_, L, R);
}

template <Real T>
Matrix<T> DenseOperator<T>::to_dense() const {
  return Matrix<T>::copy_of(A_);
}

template class DenseOperator<float>;
template class DenseOperator<double>;

}  // namespace lowrank
