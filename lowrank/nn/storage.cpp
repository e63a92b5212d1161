#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <lowrank/core/primitives.hpp>
#include <lowrank/nn/storage.hpp>

namespace lowrank {

namespace {

template <Real T>
Matrix<T> padded(Index rows, Index cols, Order order, Device& device) {
  constexpr Index line = 64 / sizeof(T);
  const bool by_rows = order == Order::row_major;
  const Index count = by_rows ? rows : cols, length = by_rows ? cols : rows;
  const Index ld = std::max<Index>(1, (length + line - 1) / line) * line;
  std::shared_ptr<void> memory = device.allocate(checked_product(checked_product(count, ld), sizeof(T)));
  T* data = static_cast<T*>(memory.get());
  fill<T>(MatrixView<T>(data, count, ld, ld, Order::row_major, device), T(0));
  return Matrix<T>(std::move(memory), MatrixView<T>(data, rows, cols, ld, order, device));
}

}  // namespace

template <Real T>
Matrix<T> padded_rows(Index rows, Index cols, Device& device) {
  return padded<T>(rows, cols, Order::row_major, device);
}

template <Real T>
Matrix<T> padded_columns(Index rows, Index cols, Device& device) {
  return padded<T>(rows, cols, Order::col_major, device);
}

template <Real T>
Matrix<T> to_host(MatrixView<const T> from) {
  Matrix<T> host(from.rows(), from.cols(), Order::row_major);
  copy<T>(from, host.view());
  return host;
}

template <Real T>
void from_host(const T* entries, MatrixView<T> to) {
  copy<T>(MatrixView<const T>(entries, to.rows(), to.cols(), std::max<Index>(1, to.cols()), Order::row_major), to);
}

void Digest::add(const void* data, Index bytes) {
  constexpr std::uint64_t odd = 0xff51afd7ed558ccd;
  const auto* at = static_cast<const std::byte*>(data);
  const auto mix = [&](std::uint64_t word) {
    state_ = (state_ ^ word) * odd;
    state_ ^= state_ >> 32;
  };
  mix(static_cast<std::uint64_t>(bytes));
  for (; bytes > 0; at += 8, bytes -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, static_cast<std::size_t>(std::min<Index>(8, bytes)));
    mix(word);
  }
}

std::string Digest::text() const { return fmt::format("{:016x}", state_); }

#define LOWRANK_INSTANTIATE(T)                                 \
  template Matrix<T> padded_rows<T>(Index, Index, Device&);    \
  template Matrix<T> padded_columns<T>(Index, Index, Device&); \
  template Matrix<T> to_host<T>(MatrixView<const T>);          \
  template void from_host<T>(const T*, MatrixView<T>);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
