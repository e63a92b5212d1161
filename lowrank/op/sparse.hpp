#pragma once

#include <lowrank/core/sparse.hpp>
#include <lowrank/op/linear_operator.hpp>
#include <memory>

namespace lowrank {

/// A sparse matrix. A compressed Eigen matrix with 64-bit indices and rows is looked at, not copied, and
/// must outlive the operator; every other Eigen sparse matrix is converted. A panel product costs
/// 2·nnz·k flops; Aᵀ·X works on a transposed copy made at the first use (as much memory again).
template <Real T>
class SparseOperator final : public LinearOperator<T> {
 public:
  explicit SparseOperator(const SparseMatrix<T>& A);
  explicit SparseOperator(SparseMatrix<T>&& A);
  template <int Options, class StorageIndex>
  explicit SparseOperator(const Eigen::SparseMatrix<T, Options, StorageIndex>& A)
      : SparseOperator(SparseMatrix<T>(A)) {}

  Index rows() const override { return A_->rows(); }
  Index cols() const override { return A_->cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  std::optional<double> frobenius_norm() const override;
  Matrix<T> to_dense() const override;
  std::string kind() const override { return "sparse"; }
  double flops_per_column() const override { return 2.0 * static_cast<double>(A_->nonZeros()); }

 private:
  const SparseMatrix<T>& adjoint() const;

  std::shared_ptr<const SparseMatrix<T>> A_;
  bool sorted_;
  mutable std::shared_ptr<const SparseMatrix<T>> adjoint_;
};

}  // namespace lowrank
