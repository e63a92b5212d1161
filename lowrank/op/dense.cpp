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
void DenseOperator<T>::multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const {
  lowrank::multiply_normal<T>(A_, X, Y, Z);
}

template <Real T>
bool DenseOperator<T>::fuses_normal(Index columns) const {
  return lowrank::fuses_normal<T>(A_, columns);
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

namespace {

template <Real T>
class RoundedOperator final : public LinearOperator<float> {
 public:
  RoundedOperator(Rounding to, MatrixView<const T> A) : to_(to), A_(A) {}

  Index rows() const override { return A_.rows(); }
  Index cols() const override { return A_.cols(); }
  void multiply(MatrixView<const float> X, MatrixView<float> Y) const override { multiply_rounded<T>(to_, A_, X, Y); }
  void multiply_adjoint(MatrixView<const float> X, MatrixView<float> Y) const override {
    multiply_rounded<T>(to_, A_.transposed(), X, Y);
  }
  void multiply_normal(MatrixView<const float> X, MatrixView<float> Y, MatrixView<float> Z) const override {
    if (to_ != Rounding::to_float) return LinearOperator<float>::multiply_normal(X, Y, Z);
    multiply_normal_rounded<T>(A_, X, Y, Z);
  }
  bool fuses_normal(Index columns) const override {
    return to_ == Rounding::to_float && lowrank::fuses_normal<T>(A_, columns, true);
  }
  Device& device() const override { return A_.device(); }
  std::string kind() const override { return "dense, rounded"; }

 private:
  Rounding to_;
  MatrixView<const T> A_;
};

}  // namespace

template <Real T>
std::unique_ptr<LinearOperator<float>> DenseOperator<T>::rounded(Rounding to) const {
  constexpr Index small = 192;  // Below, all products are quick.
  if (std::min(A_.rows(), A_.cols()) <= small || !multiplies_rounded<T>(A_.device(), to)) return nullptr;
  return std::make_unique<RoundedOperator<T>>(to, A_);
}

template class DenseOperator<float>;
template class DenseOperator<double>;

}  // namespace lowrank
