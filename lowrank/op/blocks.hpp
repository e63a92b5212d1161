#pragma once

#include <functional>
#include <lowrank/op/linear_operator.hpp>

namespace lowrank {

/// A dense matrix that is worked on in blocks of whole rows or columns, since it does not lie in the device's memory as
/// a whole. A product is one sweep over the blocks.
template <Real T>
class BlockOperator : public LinearOperator<T> {
 public:
  /// Gets a block, which lives on device() until it returns, and the place of its first entry.
  using Visitor = std::function<void(MatrixView<const T> block, Index row, Index col)>;

  /// row_major: of rows; col_major: of columns.
  virtual Order block_order() const = 0;
  /// Calls `visit` for the blocks from the first to the last; for none where the matrix is empty.
  virtual void visit_blocks(const Visitor& visit) const = 0;

  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const override;
  bool single_sweep_normal() const override { return block_order() == Order::row_major; }
  std::optional<double> frobenius_norm() const override;
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override;
  Matrix<T> to_dense() const override;
};

/// A dense matrix in memory, in blocks of about `block_bytes`. The matrix must outlive it.
template <Real T>
class DenseBlocks final : public BlockOperator<T> {
 public:
  DenseBlocks(MatrixView<const T> A, Index block_bytes) : A_(A), block_bytes_(block_bytes) {}

  Index rows() const override { return A_.rows(); }
  Index cols() const override { return A_.cols(); }
  Order block_order() const override { return A_.order(); }
  void visit_blocks(const typename BlockOperator<T>::Visitor& visit) const override;
  Device& device() const override { return A_.device(); }
  std::string kind() const override { return "dense"; }

 private:
  MatrixView<const T> A_;
  Index block_bytes_;
};

/// The blocks of another operator, moved to a device one after another: for a matrix larger than the device's memory.
/// The other must outlive it.
template <Real T>
class MovedBlocks final : public BlockOperator<T> {
 public:
  MovedBlocks(const BlockOperator<T>& source, Device& device) : source_(source), device_(device) {}

  Index rows() const override { return source_.rows(); }
  Index cols() const override { return source_.cols(); }
  Order block_order() const override { return source_.block_order(); }
  void visit_blocks(const typename BlockOperator<T>::Visitor& visit) const override;
  /// Where the entries are: nothing is moved for it.
  std::optional<double> frobenius_norm() const override { return source_.frobenius_norm(); }
  Device& device() const override { return device_; }
  std::string kind() const override { return source_.kind(); }

 private:
  const BlockOperator<T>& source_;
  Device& device_;
};

}  // namespace lowrank
