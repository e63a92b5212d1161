#pragma once

#include <lowrank/op/linear_operator.hpp>

#include "machine.hpp"

namespace lowrank::bench {

/// Passes everything on to another operator and adds up the least time that each sweep over it can take: the larger
/// of its flops at the rate of a square product and of the operator's bytes at the rate of reading. Sweeps follow upon
/// each other, so these times add.
template <Real T>
class CountedOperator final : public LinearOperator<T> {
 public:
  CountedOperator(const LinearOperator<T>& inner, double bytes, Rates rates)
      : inner_(inner), bytes_(bytes), rates_(rates) {}

  Index rows() const override { return inner_.rows(); }
  Index cols() const override { return inner_.cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override {
    sweep(X.cols());
    inner_.multiply(X, Y);
  }
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override {
    sweep(X.cols());
    inner_.multiply_adjoint(X, Y);
  }
  void multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const override {
    sweep(2 * X.cols());
    inner_.multiply_normal(X, Y, Z);
  }
  bool single_sweep_normal() const override { return inner_.single_sweep_normal(); }
  std::optional<double> frobenius_norm() const override {
    sweep(0);
    return inner_.frobenius_norm();
  }
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override {
    sweep(L.cols());
    return inner_.residual_norm(L, R);
  }
  std::optional<MatrixView<const T>> entries() const override { return inner_.entries(); }
  Matrix<T> to_dense() const override {
    sweep(0);
    return inner_.to_dense();
  }
  Device& device() const override { return inner_.device(); }
  std::string kind() const override { return inner_.kind(); }
  double flops_per_column() const override { return inner_.flops_per_column(); }

  /// Seconds since the last reset().
  double floor() const { return floor_; }
  void reset() { floor_ = 0; }

 private:
  void sweep(Index columns) const {
    floor_ += rates_.floor(inner_.flops_per_column() * static_cast<double>(columns), bytes_);
  }

  const LinearOperator<T>& inner_;
  double bytes_;
  Rates rates_;
  mutable double floor_ = 0;
};

}  // namespace lowrank::bench
