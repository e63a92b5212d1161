#pragma once

#include <lowrank/op/blocks.hpp>
#include <memory>
#include <string>

namespace lowrank {

/// An operator with the entries of another, on another device, and what it stands on.
template <Real T>
struct Moved {
  std::unique_ptr<const LinearOperator<T>> op;
  std::string note;  ///< what was done, for `reason`
  Matrix<T> copied;  ///< empty where blocks are moved
  std::unique_ptr<const BlockOperator<T>> blocks;
};

/// A (dense in memory, or in a file) to be worked on by `device`: copied there where that takes no more than three
/// quarters of the device's free memory, else in blocks that are moved there in each sweep. A must outlive the result.
/// Throws Error for operators whose entries cannot be moved: a sparse one works where it is.
template <Real T>
Moved<T> moved_to(const LinearOperator<T>& A, Device& device);

}  // namespace lowrank
