#pragma once

#include <lowrank/io/file_layout.hpp>
#include <lowrank/op/blocks.hpp>
#include <memory>
#include <string>

namespace lowrank {

/// A dense matrix in a file, read in blocks and never held whole: each product reads the file once, from
/// front to back, while a second thread reads the next block. Memory: two blocks of `block_bytes`.
template <Real T>
class MappedFileOperator final : public BlockOperator<T> {
 public:
  /// Throws Error when the file cannot be read or is shorter than the layout says.
  explicit MappedFileOperator(FileLayout<T> layout, Index block_bytes = Index{64} << 20);
  ~MappedFileOperator() override;

  Index rows() const override { return layout_.rows; }
  Index cols() const override { return layout_.cols; }
  Order block_order() const override { return layout_.order; }
  void visit_blocks(const typename BlockOperator<T>::Visitor& visit) const override;
  Matrix<T> to_dense() const override;
  std::string kind() const override { return "mapped file"; }

 private:
  FileLayout<T> layout_;
  Index block_bytes_;
  int file_ = -1;
};

}  // namespace lowrank
