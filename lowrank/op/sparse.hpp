#pragma once

#include <lowrank/core/sparse.hpp>
#include <lowrank/op/linear_operator.hpp>
#include <memory>

namespace lowrank {

/// A sparse matrix. A compressed Eigen matrix with 64-bit indices and rows is looked at, not copied, and
/// must outlive the operator; every other Eigen sparse matrix is converted. A panel product costs
/// 2·nnz·k flops. Aᵀ·X works on a transposed copy made at the first use (as much memory again), unless A has twice as
/// many rows as columns and the panel has columns enough for all threads: then on A itself.
template <Real T>
class SparseOperator final : public LinearOperator<T> {
 public:
  explicit SparseOperator(const SparseMatrix<T>& A);
  explicit SparseOperator(SparseMatrix<T>&& A);
  template <int Options, class StorageIndex>
  explicit SparseOperator(const Eigen::SparseMatrix<T, Options, StorageIndex>& A)
      : SparseOperator(SparseMatrix<T>(A)) {}

  Index rows() const override;
  Index cols() const override;
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  std::optional<double> frobenius_norm() const override;
  /// From L·R, formed in blocks of rows: 2·m·n·k flops; nothing where that is more than 2⁴⁰.
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override;
  Matrix<T> to_dense() const override;
  std::unique_ptr<LinearOperator<float>> rounded(Rounding to) const override;
  std::string kind() const override { return "sparse"; }
  double flops_per_column() const override;

  class Entries;

 private:
  std::shared_ptr<const Entries> entries_;
};

}  // namespace lowrank
