#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <lowrank/core/training.hpp>
#include <lowrank/cuda/cuda_device.hpp>

// The loops over entries, and what the host makes of their results.

namespace lowrank::cuda {
namespace {

/// The view or its transposed, such that columns are contiguous.
template <class T>
MatrixView<T> along_memory(const MatrixView<T>& X) {
  return X.order() == Order::col_major ? X : X.transposed();
}

/// Squares of double overflow above 1e154 and lose bits below 1e-146; those of float never do.
template <Real T>
bool squares_are_safe(double sum) {
  return std::is_same_v<T, float> || (sum > 1e-280 && sum < 1e300);
}

/// The moments of whole columns from those of their parts.
std::vector<Moments> joined(const std::vector<Moments>& parts, std::size_t columns) {
  std::vector<Moments> whole(columns, Moments{0, 0});
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Moments& column = whole[i % columns];
    column.squares += parts[i].squares;
    if (parts[i].largest > column.largest || std::isnan(parts[i].largest)) column.largest = parts[i].largest;
  }
  return whole;
}

}  // namespace

/// As the host: Σx² where squares are safe, else once more with each column scaled by its largest entry.
template <Real T>
std::vector<double> CudaPrimitives<T>::norms(MatrixView<const T> X) const {
  const auto columns = static_cast<std::size_t>(X.cols());
  std::vector<double> result(columns, 0.0);
  if (X.empty()) return result;
  context().run("norms", [&] {
    // Enough blocks for the GPU, each with enough to do.
    const Index groups = X.order() == Order::col_major ? X.cols() : (X.cols() + 31) / 32;
    const Index parts = std::clamp<Index>(1024 / groups, 1, (X.rows() + 1023) / 1024);
    std::vector<Moments> host(static_cast<std::size_t>(parts) * columns);
    Buffer<Moments> out(parts * X.cols(), device_);
    const auto measure = [&](const double* scales) {
      context().check(column_moments<T>(strided(X), scales, parts, out.data(), context().stream()), "column_moments");
      out.download(host);
      return joined(host, columns);
    };
    const std::vector<Moments> plain = measure(nullptr);
    std::vector<double> scales(columns, 1.0);
    bool all_safe = true;
    for (std::size_t j = 0; j < columns; ++j) {
      const Moments& found = plain[j];
      result[j] = std::sqrt(found.squares);
      if (squares_are_safe<T>(found.squares)) continue;
      result[j] = found.largest;  // zero, NaN or Inf
      if (!(found.largest > 0) || !std::isfinite(found.largest)) continue;
      scales[j] = found.largest;
      all_safe = false;
    }
    if (all_safe) return;
    const Buffer<double> factors(std::span<const double>(scales), device_);
    const std::vector<Moments> scaled = measure(factors.data());
    for (std::size_t j = 0; j < columns; ++j)
      if (scales[j] != 1.0) result[j] = scales[j] * std::sqrt(scaled[j].squares);
  });
  return result;
}

template <Real T>
double CudaPrimitives<T>::frobenius_norm(MatrixView<const T> X) const {
  if (X.empty()) return 0;
  MatrixView<const T> lines = along_memory(X);
  if (lines.ld() == lines.rows()) lines = {lines.data(), lines.size(), 1, lines.size(), Order::col_major, device_};
  const std::vector<double> each = norms(lines);
  // √Σ norms², safe against overflow, by the host's own.
  const MatrixView<const double> line(each.data(), static_cast<Index>(each.size()), 1, static_cast<Index>(each.size()));
  return lowrank::frobenius_norm<double>(line);
}

template <Real T>
std::vector<double> CudaPrimitives<T>::column_norms(MatrixView<const T> X) const {
  return norms(X);
}

template <Real T>
std::optional<Entry> CudaPrimitives<T>::first_nonfinite(MatrixView<const T> X) const {
  if (X.empty()) return std::nullopt;
  return context().run("first_nonfinite", [&]() -> std::optional<Entry> {
    constexpr auto none = std::numeric_limits<unsigned long long>::max();
    const MatrixView<const T> lines = along_memory(X);
    std::array<unsigned long long, 1> first{none};
    Buffer<unsigned long long> found(std::span<const unsigned long long>(first), device_);
    context().check(cuda::first_nonfinite<T>(strided(lines), found.data(), context().stream()), "first_nonfinite");
    found.download(first);
    if (first[0] == none) return std::nullopt;
    const Index line = static_cast<Index>(first[0]) / lines.rows(), place = static_cast<Index>(first[0]) % lines.rows();
    T value = 0;
    device_.download(lines.data() + line * lines.ld() + place, &value, {static_cast<Index>(sizeof value)});
    const bool columns = X.order() == Order::col_major;
    return Entry{columns ? place : line, columns ? line : place, static_cast<double>(value)};
  });
}

template <Real T>
std::vector<Entry> CudaPrimitives<T>::largest_in_columns(MatrixView<const T> X) const {
  std::vector<Entry> result(static_cast<std::size_t>(X.cols()));
  if (X.empty()) return result;
  std::vector<Largest> host(result.size());
  context().run("largest_in_columns", [&] {
    Buffer<Largest> out(X.cols(), device_);
    context().check(cuda::largest_in_columns<T>(strided(X), out.data(), context().stream()), "largest_in_columns");
    out.download(host);
  });
  for (std::size_t j = 0; j < host.size(); ++j) result[j] = {host[j].row, static_cast<Index>(j), host[j].value};
  return result;
}

template <Real T>
void CudaPrimitives<T>::scale_columns(MatrixView<T> X, const std::vector<double>& by) const {
  if (X.empty()) return;
  context().run("scale_columns", [&] {
    const Buffer<double> factors(std::span<const double>(by), device_);
    const bool of_rows = X.order() == Order::row_major;
    context().check(scale<T>(strided(along_memory(X)), factors.data(), of_rows, context().stream()), "scale_columns");
  });
}

template <Real T>
void CudaPrimitives<T>::add(T alpha, MatrixView<const T> X, MatrixView<T> Y) const {
  const bool columns = Y.order() == Order::col_major;
  context().run("add", [&] {
    context().check(
        cuda::add<T>(alpha, strided(columns ? X : X.transposed()), strided(along_memory(Y)), context().stream()),
        "add");
  });
}

template <Real T>
void CudaPrimitives<T>::copy(MatrixView<const T> from, MatrixView<T> to) const {
  const bool columns = from.order() == Order::col_major;
  context().run("copy", [&] {
    context().check(
        cuda::copy<T, T>(strided(along_memory(from)), strided(columns ? to : to.transposed()), context().stream()),
        "copy");
  });
}

template <Real T>
void CudaPrimitives<T>::fill(MatrixView<T> X, T value) const {
  context().run("fill",
                [&] { context().check(cuda::fill<T>(strided(along_memory(X)), value, context().stream()), "fill"); });
}

template <Real T>
void CudaPrimitives<T>::fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) const {
  context().run("fill_normal", [&] {
    context().check(
        cuda::fill_normal<T>(strided(X), seed, stream, static_cast<std::uint64_t>(first_row), context().stream()),
        "fill_normal");
  });
}

#define LOWRANK_INSTANTIATE(T)                                                                     \
  template std::vector<double> CudaPrimitives<T>::norms(MatrixView<const T>) const;                \
  template double CudaPrimitives<T>::frobenius_norm(MatrixView<const T>) const;                    \
  template std::vector<double> CudaPrimitives<T>::column_norms(MatrixView<const T>) const;         \
  template std::optional<Entry> CudaPrimitives<T>::first_nonfinite(MatrixView<const T>) const;     \
  template std::vector<Entry> CudaPrimitives<T>::largest_in_columns(MatrixView<const T>) const;    \
  template void CudaPrimitives<T>::scale_columns(MatrixView<T>, const std::vector<double>&) const; \
  template void CudaPrimitives<T>::add(T, MatrixView<const T>, MatrixView<T>) const;               \
  template void CudaPrimitives<T>::copy(MatrixView<const T>, MatrixView<T>) const;                 \
  template void CudaPrimitives<T>::fill(MatrixView<T>, T) const;                                   \
  template void CudaPrimitives<T>::fill_normal(MatrixView<T>, std::uint64_t, std::uint64_t, Index) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank::cuda
