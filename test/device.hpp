#pragma once

#include <lowrank/core/matrix.hpp>
#include <lowrank/core/primitives.hpp>

namespace check {

/// The device that the suites named in main.cpp are run on: the host, or what --device=NAME says ("guarded", "cuda").
lowrank::Device& device();
inline bool on_host() { return &device() == &lowrank::host_device(); }

/// A matrix made on the host, moved to the device under test.
template <lowrank::Real T>
lowrank::Matrix<T> there(lowrank::Matrix<T> X) {
  if (on_host()) return X;
  return X.to(device());
}

/// One entry of a matrix on any device, read and set from the host.
template <class T>
std::remove_const_t<T> entry(lowrank::MatrixView<T> X, lowrank::Index i, lowrank::Index j) {
  using Value = std::remove_const_t<T>;
  Value value{};
  lowrank::copy<Value>(X.block(i, j, 1, 1), lowrank::MatrixView<Value>(&value, 1, 1, 1));
  return value;
}
template <class T>
void set_entry(lowrank::MatrixView<T> X, lowrank::Index i, lowrank::Index j, T value) {
  lowrank::copy<T>(lowrank::MatrixView<const T>(&value, 1, 1, 1), X.block(i, j, 1, 1));
}

}  // namespace check
