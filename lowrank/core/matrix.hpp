#pragma once

#include <lowrank/core/device.hpp>
#include <lowrank/core/view.hpp>
#include <memory>
#include <utility>

namespace lowrank {

template <Real T>
void copy(MatrixView<const T> from, MatrixView<T> to);

/// A rows×cols matrix that owns (or shares) its memory on a device. Moved, not copied: a copy of a
/// large matrix is asked for by clone(). Entries of a new matrix are not set.
template <Real T>
class Matrix {
 public:
  using Scalar = T;

  Matrix() = default;
  Matrix(Index rows, Index cols, Order order = Order::col_major, Device& device = host_device())
      : view_(nullptr, rows, cols, std::max<Index>(1, order == Order::col_major ? rows : cols), order, device) {
    if (rows < 0 || cols < 0) throw std::invalid_argument("Matrix: negative size");
    memory_ = device.allocate(checked_product(checked_product(rows, cols), sizeof(T)));
    view_ = MatrixView<T>(static_cast<T*>(memory_.get()), rows, cols, view_.ld(), order, device);
  }
  Matrix(Index rows, Index cols, Device& device) : Matrix(rows, cols, Order::col_major, device) {}

  /// Takes over memory that is laid out as `view` says; `memory` keeps it alive (a mapped file, say).
  Matrix(std::shared_ptr<void> memory, MatrixView<T> view) : memory_(std::move(memory)), view_(view) {}

  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  Matrix(Matrix&& other) noexcept
      : memory_(std::move(other.memory_)), view_(std::exchange(other.view_, MatrixView<T>())) {}
  Matrix& operator=(Matrix&& other) noexcept {
    memory_ = std::move(other.memory_);
    view_ = std::exchange(other.view_, MatrixView<T>());
    return *this;
  }

  Matrix clone() const { return copy_of(view(), view_.order()); }
  /// A copy on `device`, in the same order.
  Matrix to(Device& device) const {
    Matrix result(rows(), cols(), order(), device);
    copy<T>(view(), result.view());
    return result;
  }

  /// A new matrix with the entries of `source`, on the same device.
  static Matrix copy_of(MatrixView<const T> source, Order order = Order::col_major) {
    Matrix result(source.rows(), source.cols(), order, source.device());
    copy<T>(source, result.view());
    return result;
  }

  Index rows() const { return view_.rows(); }
  Index cols() const { return view_.cols(); }
  Index size() const { return view_.size(); }
  Index ld() const { return view_.ld(); }
  Order order() const { return view_.order(); }
  Device& device() const { return view_.device(); }
  bool empty() const { return view_.empty(); }
  T* data() { return view_.data(); }
  const T* data() const { return view_.data(); }

  T& operator()(Index i, Index j) { return view_(i, j); }
  const T& operator()(Index i, Index j) const { return view_(i, j); }

  MatrixView<T> view() { return view_; }
  MatrixView<const T> view() const { return view_; }
  operator MatrixView<T>() { return view_; }
  operator MatrixView<const T>() const { return view_; }

  MatrixView<T> left_cols(Index count) { return view_.left_cols(count); }
  MatrixView<const T> left_cols(Index count) const { return view().left_cols(count); }

  /// An Eigen map of a column-major host matrix.
  auto eigen() { return view().eigen_col_major(); }
  auto eigen() const { return view().eigen_col_major(); }

 private:
  std::shared_ptr<void> memory_;
  MatrixView<T> view_;
};

}  // namespace lowrank
