#include <fmt/core.h>

#include <algorithm>
#include <lowrank/core/error.hpp>
#include <lowrank/op/dense.hpp>
#include <lowrank/op/moved.hpp>

namespace lowrank {
namespace {

template <Real T>
[[noreturn]] void refuse(const LinearOperator<T>& A, const Device& device) {
  throw Error(fmt::format("the {} operator works on {} only and cannot be moved to {}: choose {}, or a dense matrix",
                          A.kind(), A.device().name(), device.name(), A.device().name()));
}

std::string gibibytes(double bytes) { return fmt::format("{:.3g} GiB", bytes / 0x1p30); }

}  // namespace

template <Real T>
Moved<T> moved_to(const LinearOperator<T>& A, Device& device) {
  const auto entries = A.entries();
  const auto* const blocks = dynamic_cast<const BlockOperator<T>*>(&A);
  if (!entries && blocks == nullptr) refuse(A, device);
  const double bytes = sizeof(T) * static_cast<double>(A.rows()) * static_cast<double>(A.cols());
  const Index available = device.available_memory();
  Moved<T> moved;
  if (bytes <= 0.75 * static_cast<double>(available)) {
    moved.copied = Matrix<T>(A.rows(), A.cols(), entries ? entries->order() : blocks->block_order(), device);
    if (entries)
      copy<T>(*entries, moved.copied);
    else
      blocks->visit_blocks([&](MatrixView<const T> block, Index row, Index col) {
        copy<T>(block, moved.copied.view().block(row, col, block.rows(), block.cols()));
      });
    moved.op = std::make_unique<DenseOperator<T>>(moved.copied.view());
    moved.note = "worked on by " + device.name();
    return moved;
  }
  // Two blocks may be there at once, and the panels want their room.
  if (blocks == nullptr)
    moved.blocks = std::make_unique<DenseBlocks<T>>(*entries, std::clamp<Index>(available / 8, 1, Index{256} << 20));
  moved.op = std::make_unique<MovedBlocks<T>>(blocks != nullptr ? *blocks : *moved.blocks, device);
  moved.note = fmt::format("worked on by {} in blocks moved there in each sweep: the matrix of {} does not fit its {}",
                           device.name(), gibibytes(bytes), gibibytes(static_cast<double>(available)));
  return moved;
}

template Moved<float> moved_to(const LinearOperator<float>&, Device&);
template Moved<double> moved_to(const LinearOperator<double>&, Device&);

}  // namespace lowrank
