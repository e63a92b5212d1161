#pragma once

#include <lowrank/op/linear_operator.hpp>

namespace lowrank {

/// A dense matrix in memory: a view of it, so the matrix must outlive the operator.
template <Real T>
class DenseOperator final : public LinearOperator<T> {
 public:
  explicit DenseOperator(MatrixView<const T> A) : A_(A) {}

  Index rows() const override { return A_.rows(); }
  Index cols() const override { return A_.cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const override;
  bool fuses_normal(Index columns) const override;
  std::optional<double> frobenius_norm() const override;
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override;
  std::optional<MatrixView<const T>> entries() const override { return A_; }
  Matrix<T> to_dense() const override;
  std::unique_ptr<LinearOperator<float>> rounded(Rounding to) const override;
  Device& device() const override { return A_.device(); }
  std::string kind() const override { return "dense"; }

 private:
  MatrixView<const T> A_;
};

/// What can be looked at as a dense matrix without a copy: an Eigen matrix, block or map, Matrix, MatrixView.
template <class M>
using ScalarOf = std::remove_const_t<typename std::remove_cvref_t<M>::Scalar>;

template <class M>
concept DenseArgument = requires(const M& m) {
  MatrixView<const ScalarOf<M>>(m);
}
&&Real<ScalarOf<M>>;

template <DenseArgument M>
DenseOperator<ScalarOf<M>> as_operator(const M& m) {
  return DenseOperator<ScalarOf<M>>(MatrixView<const ScalarOf<M>>(m));
}

}  // namespace lowrank
