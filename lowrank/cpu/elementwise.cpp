#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/cpu/host_primitives.hpp>
#include <lowrank/cpu/normals.hpp>
#include <lowrank/cpu/panel_difference.hpp>
#include <lowrank/cpu/sum_of_squares.hpp>

namespace lowrank {
namespace {

/// Below this many entries starting threads costs more than it saves.
constexpr Index parallel_from = 1 << 15;

/// The lines (columns or rows) of a view, in storage order.
template <class T>
struct Lines {
  explicit Lines(const MatrixView<T>& X)
      : data(X.data()),
        count(X.order() == Order::col_major ? X.cols() : X.rows()),
        length(X.order() == Order::col_major ? X.rows() : X.cols()),
        ld(X.ld()) {}
  T* operator[](Index line) const { return data + line * ld; }

  T* data;
  Index count, length, ld;
};

template <class T>
Entry entry(const MatrixView<T>& X, Index line, Index place) {
  const auto [row, col] = X.order() == Order::col_major ? std::pair(place, line) : std::pair(line, place);
  return {row, col, static_cast<double>(X(row, col))};
}

template <Real T>
double largest_magnitude(const T* x, Index n) {
  T largest = 0;
  for (Index i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  return static_cast<double>(largest);
}

/// Squares of double overflow above 1e154 and lose bits below 1e-146; those of float never do.
template <Real T>
bool squares_are_safe(double sum) {
  return std::is_same_v<T, float> || (sum > 1e-280 && sum < 1e300);
}

/// ‖x‖ by scaling with the largest magnitude, where the plain sum of squares is not safe.
template <Real T>
double scaled_norm(const T* x, Index n) {
  const double largest = largest_magnitude(x, n);
  if (!(largest > 0) || !std::isfinite(largest)) {
    for (Index i = 0; i < n; ++i)
      if (!std::isfinite(x[i])) return std::abs(static_cast<double>(x[i]));
    return largest;
  }
  double total = 0;
  for (Index i = 0; i < n; ++i) {
    const double value = static_cast<double>(x[i]) / largest;
    total += value * value;
  }
  return largest * std::sqrt(total);
}

template <Real T>
double line_norm(const T* x, Index n) {
  const double sum = sum_of_squares(x, n);
  return squares_are_safe<T>(sum) ? std::sqrt(sum) : scaled_norm(x, n);
}

/// √Σ norms², safe against overflow.
double combine(const std::vector<double>& norms) { return line_norm(norms.data(), static_cast<Index>(norms.size())); }

}  // namespace

template <Real T>
double HostPrimitives<T>::frobenius_norm(MatrixView<const T> X) const {
  if (X.empty()) return 0;
  const Lines lines(X);
  // Lines without gaps in longer pieces.
  constexpr Index least_length = 1 << 16;
  const Index joined = lines.length == lines.ld ? std::max<Index>(1, least_length / lines.length) : 1;
  const Index pieces = (lines.count + joined - 1) / joined;
  std::vector<double> norms(static_cast<std::size_t>(pieces));
#pragma omp parallel for schedule(static) if (X.size() >= parallel_from)
  for (Index p = 0; p < pieces; ++p)
    norms[static_cast<std::size_t>(p)] =
        line_norm(lines[p * joined], lines.length * std::min(joined, lines.count - p * joined));
  return combine(norms);
}

template <Real T>
double HostPrimitives<T>::difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) const {
  if (panel_difference_suits<T>(X, L.cols())) {
    const double square = panel_difference_squared<T>(X, L, R);
    if (squares_are_safe<T>(square)) return std::sqrt(square);
  }
  return Primitives<T>::difference_norm(X, L, R);
}

template <Real T>
std::vector<double> HostPrimitives<T>::column_norms(MatrixView<const T> X) const {
  std::vector<double> norms(static_cast<std::size_t>(X.cols()), 0.0);
  if (X.empty()) return norms;
  if (X.order() == Order::row_major) {
    Matrix<T> columns = Matrix<T>::copy_of(X);
    return column_norms(columns.view());
  }
#pragma omp parallel for schedule(static) if (X.size() >= parallel_from)
  for (Index j = 0; j < X.cols(); ++j) norms[static_cast<std::size_t>(j)] = line_norm(&X(0, j), X.rows());
  return norms;
}

template <Real T>
std::optional<Entry> HostPrimitives<T>::first_nonfinite(MatrixView<const T> X) const {
  if (X.empty()) return std::nullopt;
  const Lines lines(X);
  for (Index l = 0; l < lines.count; ++l) {
    // x·0 is NaN exactly for NaN and Inf; the sum vectorizes.
    T sum = 0;
    for (Index i = 0; i < lines.length; ++i) sum += lines[l][i] * T(0);
    if (sum == T(0)) continue;
    for (Index i = 0; i < lines.length; ++i)
      if (!std::isfinite(lines[l][i])) return entry(X, l, i);
  }
  return std::nullopt;
}

namespace {

/// Where the largest magnitude of n entries `stride` apart is first; 0 where none compares.
template <Real T>
Index first_largest(const T* x, Index n, Index stride) {
  Index i = 0;
  T largest = std::abs(x[0]);
  if (stride == 1) {
    // Without a chain through the comparisons, so that the compiler makes vectors of it.
    constexpr Index lanes = 16;
    T best[lanes] = {};
    for (; i + lanes <= n; i += lanes)
      for (Index l = 0; l < lanes; ++l) best[l] = std::abs(x[i + l]) > best[l] ? std::abs(x[i + l]) : best[l];
    for (const T value : best) largest = std::max(largest, value);
  }
  for (; i < n; ++i) largest = std::max(largest, std::abs(x[i * stride]));
  for (i = 0; i < n; ++i)
    if (std::abs(x[i * stride]) == largest) return i;
  return 0;
}

}  // namespace

template <Real T>
std::vector<Entry> HostPrimitives<T>::largest_in_columns(MatrixView<const T> X) const {
  std::vector<Entry> result(static_cast<std::size_t>(X.cols()));
  const bool columns = X.order() == Order::col_major;
#pragma omp parallel for schedule(static) if (X.size() >= parallel_from)
  for (Index j = 0; j < X.cols(); ++j) {
    const Index best = first_largest(X.data() + (columns ? j * X.ld() : j), X.rows(), columns ? 1 : X.ld());
    result[static_cast<std::size_t>(j)] = {best, j, static_cast<double>(X(best, j))};
  }
  return result;
}

template <Real T>
void HostPrimitives<T>::scale_columns(MatrixView<T> X, const std::vector<double>& by) const {
  if (X.empty()) return;
  const Lines lines(X);
  const bool columns = X.order() == Order::col_major;
#pragma omp parallel for schedule(static) if (X.size() >= parallel_from)
  for (Index l = 0; l < lines.count; ++l)
    for (Index i = 0; i < lines.length; ++i)
      lines[l][i] = static_cast<T>(lines[l][i] * by[static_cast<std::size_t>(columns ? l : i)]);
}

template <Real T>
void HostPrimitives<T>::add(T alpha, MatrixView<const T> X, MatrixView<T> Y) const {
  const Lines lines(Y);
  const bool same = X.order() == Y.order();
  const Index down = same ? X.ld() : 1, along = same ? 1 : X.ld();
#pragma omp parallel for schedule(static) if (Y.size() >= parallel_from)
  for (Index l = 0; l < lines.count; ++l)
    for (Index i = 0; i < lines.length; ++i) lines[l][i] += alpha * X.data()[l * down + i * along];
}

template <Real T>
void HostPrimitives<T>::copy(MatrixView<const T> from, MatrixView<T> to) const {
  const Lines lines(to);
  if (from.order() == to.order()) {
    const Lines source(from);
#pragma omp parallel for schedule(static) if (to.size() >= parallel_from)
    for (Index l = 0; l < lines.count; ++l) std::copy_n(source[l], lines.length, lines[l]);
    return;
  }
  // A transposing copy goes in tiles, so that both sides stay in cache.
  constexpr Index tile = 32;
#pragma omp parallel for schedule(static) if (to.size() >= parallel_from)
  for (Index l0 = 0; l0 < lines.count; l0 += tile)
    for (Index i0 = 0; i0 < lines.length; i0 += tile)
      for (Index l = l0; l < std::min(l0 + tile, lines.count); ++l)
        for (Index i = i0; i < std::min(i0 + tile, lines.length); ++i) lines[l][i] = from.data()[i * from.ld() + l];
}

template <Real T>
void HostPrimitives<T>::fill(MatrixView<T> X, T value) const {
  const Lines lines(X);
  for (Index l = 0; l < lines.count; ++l) std::fill_n(lines[l], lines.length, value);
}

template <Real T>
void HostPrimitives<T>::fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) const {
  // By blocks of rows, in memory of their own where the pairs do not lie side by side in columns.
  constexpr Index most_rows = 256;
  const Index pairs = (X.cols() + 1) / 2, blocks = (X.rows() + most_rows - 1) / most_rows;
#pragma omp parallel for collapse(2) schedule(static) if (X.size() >= parallel_from / 4)
  for (Index block = 0; block < blocks; ++block)
    for (Index p = 0; p < pairs; ++p) {
      const Index i0 = block * most_rows, rows = std::min(most_rows, X.rows() - i0), left = X.cols() - 2 * p;
      T first[most_rows], second[most_rows];
      const bool in_place = X.order() == Order::col_major && left > 1;
      T* const a = in_place ? &X(i0, 2 * p) : first;
      T* const b = in_place ? &X(i0, 2 * p + 1) : second;
      normal_pairs<T>(seed, stream, static_cast<std::uint64_t>(first_row + i0), static_cast<std::uint32_t>(p), rows, a,
                      b);
      if (in_place) continue;
      for (Index i = 0; i < rows; ++i) {
        X(i0 + i, 2 * p) = a[i];
        if (left > 1) X(i0 + i, 2 * p + 1) = b[i];
      }
    }
}

#define LOWRANK_INSTANTIATE(T)                                                                                      \
  template double HostPrimitives<T>::frobenius_norm(MatrixView<const T>) const;                                     \
  template double HostPrimitives<T>::difference_norm(MatrixView<const T>, MatrixView<const T>, MatrixView<const T>) \
      const;                                                                                                        \
  template std::vector<double> HostPrimitives<T>::column_norms(MatrixView<const T>) const;                          \
  template std::optional<Entry> HostPrimitives<T>::first_nonfinite(MatrixView<const T>) const;                      \
  template std::vector<Entry> HostPrimitives<T>::largest_in_columns(MatrixView<const T>) const;                     \
  template void HostPrimitives<T>::scale_columns(MatrixView<T>, const std::vector<double>&) const;                  \
  template void HostPrimitives<T>::add(T, MatrixView<const T>, MatrixView<T>) const;                                \
  template void HostPrimitives<T>::copy(MatrixView<const T>, MatrixView<T>) const;                                  \
  template void HostPrimitives<T>::fill(MatrixView<T>, T) const;                                                    \
  template void HostPrimitives<T>::fill_normal(MatrixView<T>, std::uint64_t, std::uint64_t, Index) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
