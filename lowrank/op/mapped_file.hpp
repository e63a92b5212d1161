#pragma once

#include <lowrank/io/file_layout.hpp>
#include <lowrank/op/linear_operator.hpp>
#include <memory>
#include <string>

namespace lowrank {

/// A dense matrix in a file, read in blocks and never held whole: each product reads the file once, from
/// front to back, while a second thread reads the next block. Memory: two blocks of `block_bytes`.
template <Real T>
class MappedFileOperator final : public LinearOperator<T> {
 public:
  /// Throws Error when the file cannot be read or is shorter than the layout says.
  explicit MappedFileOperator(FileLayout<T> layout, Index block_bytes = Index{64} << 20);
  ~MappedFileOperator() override;

  Index rows() const override { return layout_.rows; }
  Index cols() const override { return layout_.cols; }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override;
  void multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const override;
  bool single_sweep_normal() const override { return layout_.order == Order::row_major; }
  std::optional<double> frobenius_norm() const override;
  std::optional<double> residual_norm(MatrixView<const T> L, MatrixView<const T> R) const override;
  Matrix<T> to_dense() const override;
  std::string kind() const override { return "mapped file"; }

 private:
  template <class Visit>
  void sweep(Visit&& visit) const;

  FileLayout<T> layout_;
  Index block_bytes_;
  int file_ = -1;
};

}  // namespace lowrank
