#pragma once

#include <cmath>
#include <lowrank/op/linear_operator.hpp>

namespace lowrank {

/// L·R for a tall L (m×r) and a wide R (r×n), never formed: a product with k columns costs 2·(m+n)·r·k flops.
/// The views must outlive the operator.
template <Real T>
class ProductOperator final : public LinearOperator<T> {
 public:
  ProductOperator(MatrixView<const T> L, MatrixView<const T> R);

  Index rows() const override { return L_.rows(); }
  Index cols() const override { return R_.cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  /// From QR factorizations of both: 4·(m+n)·r² flops.
  std::optional<double> frobenius_norm() const override;
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override;
  Matrix<T> to_dense() const override;
  Device& device() const override { return L_.device(); }
  std::string kind() const override { return "product"; }
  double flops_per_column() const override { return 2.0 * static_cast<double>((rows() + cols()) * L_.cols()); }

 private:
  MatrixView<const T> L_, R_;
};

/// A - B. Both operators must outlive it. Where they nearly cancel, its products, and what a certificate says of them,
/// are good to the rounding of theirs, eps·‖A‖, not of the difference.
template <Real T>
class DifferenceOperator final : public LinearOperator<T> {
 public:
  DifferenceOperator(const LinearOperator<T>& A, const LinearOperator<T>& B);

  Index rows() const override { return A_.rows(); }
  Index cols() const override { return A_.cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  Device& device() const override { return A_.device(); }
  std::string kind() const override { return "difference"; }
  double flops_per_column() const override { return A_.flops_per_column() + B_.flops_per_column(); }

 private:
  const LinearOperator<T>&A_, &B_;
};

/// Aᵀ. The operator must outlive it.
template <Real T>
class AdjointOperator final : public LinearOperator<T> {
 public:
  explicit AdjointOperator(const LinearOperator<T>& A) : A_(A) {}
  AdjointOperator(const AdjointOperator&) = delete;  // It would copy where the adjoint of an adjoint is meant.

  Index rows() const override { return A_.cols(); }
  Index cols() const override { return A_.rows(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override { A_.multiply_adjoint(X, Y); }
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override { A_.multiply(X, Y); }
  std::optional<double> frobenius_norm() const override { return A_.frobenius_norm(); }
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override {
    return A_.residual_norm(R.transposed(), L.transposed());
  }
  std::optional<MatrixView<const T>> entries() const override {
    const auto A = A_.entries();
    return A ? std::optional(A->transposed()) : std::nullopt;
  }
  Device& device() const override { return A_.device(); }
  std::string kind() const override { return A_.kind(); }
  double flops_per_column() const override { return A_.flops_per_column(); }

 private:
  const LinearOperator<T>& A_;
};

/// factor·A, where the factor is applied to the panel before A is: with a power of two it keeps the products of a
/// matrix with entries near the ends of the number range away from overflow, without a rounding error.
template <Real T>
class ScaledOperator final : public LinearOperator<T> {
 public:
  ScaledOperator(double factor, const LinearOperator<T>& A)
      : factor_(factor), before_(factor == 0 ? 1 : std::ldexp(1.0, std::ilogb(factor) / 2)), A_(A) {}

  Index rows() const override { return A_.rows(); }
  Index cols() const override { return A_.cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  std::optional<double> frobenius_norm() const override;
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override;
  Matrix<T> to_dense() const override;
  Device& device() const override { return A_.device(); }
  std::string kind() const override { return A_.kind(); }
  double flops_per_column() const override { return A_.flops_per_column(); }

 private:
  double factor_, before_;
  const LinearOperator<T>& A_;
};

}  // namespace lowrank
