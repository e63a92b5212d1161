#pragma once

#include <lowrank/core/training.hpp>
#include <memory>
#include <string>

namespace lowrank {

/// A row-major matrix whose rows begin at multiples of 64 bytes, filled with zeros.
template <Real T>
Matrix<T> padded_rows(Index rows, Index cols, Device& device);
/// The same with columns.
template <Real T>
Matrix<T> padded_columns(Index rows, Index cols, Device& device);

/// The entries, row by row without gaps, on the host.
template <Real T>
Matrix<T> to_host(MatrixView<const T> from);
/// Sets `to` to entries that lie row by row without gaps on the host.
template <Real T>
void from_host(const T* entries, MatrixView<T> to);

/// A 64-bit hash over bytes, for telling whether a bit has changed. Not against an adversary.
class Digest {
 public:
  void add(const void* data, Index bytes);
  template <class U>
  void add_value(const U& value) {
    add(&value, sizeof value);
  }
  std::string text() const;

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15;
};

}  // namespace lowrank
