#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <lowrank/core/types.hpp>
#include <stdexcept>
#include <type_traits>

namespace lowrank {

class Device;
Device& host_device();

/// A rows×cols matrix that somebody else owns: a pointer, a leading dimension, an order and the device
/// it lives on. T may be const. Entry (i, j) of a column-major view stands at data[i + j·ld], of a
/// row-major one at data[i·ld + j]. Cheap to copy; transposing and cutting blocks copy no entry.
template <class T>
class MatrixView {
 public:
  using Scalar = std::remove_const_t<T>;

  MatrixView() = default;
  MatrixView(T* data, Index rows, Index cols, Index ld, Order order = Order::col_major, Device& device = host_device())
      : data_(data), rows_(rows), cols_(cols), ld_(ld), order_(order), device_(&device) {}

  template <class U>
  requires(std::is_const_v<T>&& std::is_same_v<U, Scalar>) MatrixView(const MatrixView<U>& other)
      : MatrixView(other.data(), other.rows(), other.cols(), other.ld(), other.order(), other.device()) {}

  /// An Eigen matrix, block or map on the host, of either order and any outer stride. An inner stride
  /// other than 1 throws std::invalid_argument (vectors may have any): nothing is copied behind your back.
  template <class Derived>
  requires(std::is_const_v<T>&& std::is_same_v<typename Derived::Scalar, Scalar> &&
           (static_cast<int>(Derived::Flags) & Eigen::DirectAccessBit) != 0)
      MatrixView(const Eigen::DenseBase<Derived>& m)
      : MatrixView(of_eigen(m.derived(), m.derived().data())) {}

  template <class Derived>
  requires(!std::is_const_v<T> && std::is_same_v<typename Derived::Scalar, Scalar> &&
           (static_cast<int>(Derived::Flags) & Eigen::DirectAccessBit) != 0) MatrixView(Eigen::DenseBase<Derived>& m)
      : MatrixView(of_eigen(m.derived(), m.derived().data())) {}

  T* data() const { return data_; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  Index ld() const { return ld_; }
  Order order() const { return order_; }
  Device& device() const { return *device_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }

  /// Entry (i, j); host only, unchecked.
  T& operator()(Index i, Index j) const { return data_[order_ == Order::col_major ? i + j * ld_ : i * ld_ + j]; }

  MatrixView transposed() const { return {data_, cols_, rows_, ld_, flip(order_), *device_}; }

  MatrixView block(Index i, Index j, Index rows, Index cols) const {
    const bool none = rows == 0 || cols == 0;
    return {none ? data_ : &(*this)(i, j), rows, cols, ld_, order_, *device_};
  }
  MatrixView middle_cols(Index j, Index count) const { return block(0, j, rows_, count); }
  MatrixView middle_rows(Index i, Index count) const { return block(i, 0, count, cols_); }
  MatrixView left_cols(Index count) const { return middle_cols(0, count); }
  MatrixView col(Index j) const { return middle_cols(j, 1); }

  /// The view as an Eigen map (host only); `order` must be the view's.
  auto eigen_col_major() const { return eigen_map<Eigen::ColMajor>(); }
  auto eigen_row_major() const { return eigen_map<Eigen::RowMajor>(); }

 private:
  template <int Storage>
  auto eigen_map() const {
    using Dense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Storage>;
    using Mapped = std::conditional_t<std::is_const_v<T>, const Dense, Dense>;
    if ((order_ == Order::row_major) != (Storage == Eigen::RowMajor))
      throw std::invalid_argument("MatrixView: the Eigen map wanted has another order than the view");
    return Eigen::Map<Mapped, 0, Eigen::OuterStride<>>(data_, rows_, cols_, Eigen::OuterStride<>(ld_));
  }

  template <class Derived, class Pointer>
  static MatrixView of_eigen(const Derived& m, Pointer* data) {
    const Index rows = m.rows(), cols = m.cols();
    const Index down = Derived::IsRowMajor ? m.outerStride() : m.innerStride();
    const Index right = Derived::IsRowMajor ? m.innerStride() : m.outerStride();
    // A vector with a stride is a matrix of one column (or row) whose leading dimension is the stride.
    if (cols == 1 && down >= 1) return {data, rows, cols, down, Order::row_major};
    if (rows == 1 && right >= 1) return {data, rows, cols, right, Order::col_major};
    if (down == 1 && right >= rows) return {data, rows, cols, std::max<Index>(right, 1), Order::col_major};
    if (right == 1 && down >= cols) return {data, rows, cols, std::max<Index>(down, 1), Order::row_major};
    throw std::invalid_argument(
        "MatrixView: neither the rows nor the columns of this Eigen expression are contiguous; evaluate it into a "
        "matrix first");
  }

  T* data_ = nullptr;
  Index rows_ = 0, cols_ = 0, ld_ = 1;
  Order order_ = Order::col_major;
  Device* device_ = &host_device();
};

}  // namespace lowrank
