#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_kernel.hpp>
#include <lowrank/cpu/panel_runs.hpp>
#include <lowrank/cpu/panel_tile.hpp>
#include <lowrank/cpu/round_up.hpp>
#include <lowrank/cpu/vendor.hpp>

namespace lowrank::panel {
namespace {

/// How columns of X are cut into groups: vectors of A's rows that go with a group, and columns of it, such that few
/// are padding.
struct Groups {
  Index vectors, columns, count;

  explicit Groups(Index k, const Shape& shape) : vectors(1), columns(rows_of_group(shape.strip, 1)), count(0) {
    for (Index v = 2; v <= shape.most_vectors; ++v) {
      const Index c = rows_of_group(shape.strip, v);
      if (round_up(k, c) <= round_up(k, columns)) vectors = v, columns = c;
    }
    count = (k + columns - 1) / columns;
  }
  Index width() const { return columns * count; }
};

/// X by groups, each as n rows of groups.columns entries, zeros at the ends of the last one's: what a tile takes lies
/// together, whatever the width.
template <Real T>
Matrix<T> packed_by_groups(MatrixView<const T> X, const Groups& groups) {
  const Index n = X.rows(), k = X.cols(), columns = groups.columns;
  Matrix<T> packed(checked_product(n, groups.width()), 1);
  const Index row = X.order() == Order::row_major ? X.ld() : 1, col = X.order() == Order::row_major ? 1 : X.ld();
  constexpr Index together = 64;
#pragma omp parallel for schedule(static) collapse(2)
  for (Index l0 = 0; l0 < n; l0 += together)
    for (Index g = 0; g < groups.count; ++g)
      for (Index c = 0; c < columns; ++c)
        for (Index l = l0; l < std::min(n, l0 + together); ++l) {
          const Index j = g * columns + c;
          packed.data()[(g * n + l) * columns + c] = j < k ? X.data()[l * row + j * col] : T(0);
        }
  return packed;
}

}  // namespace

template <Real T>
void multiply_runs(T alpha, MatrixView<const T> A, MatrixView<const T> X, T beta, MatrixView<T> C) {
  const Shape kernels = shape();
  const Index m = A.rows(), n = A.cols(), k = X.cols();
  const Groups groups(k, kernels);
  const Index width = groups.width(), length = groups.vectors * kernels.vector_bytes / static_cast<Index>(sizeof(T));
  // Columns of A that go together, and the bytes of each: they, the sums and their rows of X share a second-level
  // cache. Measured with Zen 4, 16 to 128 columns: 96 are up to 10 % faster than 48, 128 and 192 are not faster.
  // Intel's prefetchers follow some 32 columns at a time: with 48 to 96 (Golden Cove) products take up to 1.4 times as
  // long.
  const Index most_depth = made_by_intel() ? 32 : 96;
  constexpr Index most_bytes = 2048, sums_bytes = Index{256} << 10;
  constexpr Index entry = static_cast<Index>(sizeof(T));
  const Index most = std::max(length, std::min(most_bytes / entry, sums_bytes / (width * entry)) / length * length);
  const Index team = threads(), blocks = round_up((m + most - 1) / most, team);
  const Index height = round_up((m + blocks - 1) / blocks, length);
  const Matrix<T> packed = packed_by_groups<T>(X, groups);
#pragma omp parallel
  {
    // Lines a cache line more apart, so that it is no power of two.
    const Index pitch = height + 64 / entry;
    Matrix<T> sums(pitch, width), last(length, most_depth);
    std::fill_n(last.data(), last.size(), T(0));
#pragma omp for schedule(dynamic)
    for (Index i0 = 0; i0 < m; i0 += height) {
      const Index here = std::min(height, m - i0);
      std::fill_n(sums.data(), sums.size(), T(0));
      for (Index l0 = 0; l0 < n; l0 += most_depth) {
        const Index depth = std::min(most_depth, n - l0), coming = std::min(most_depth, n - l0 - depth);
        for (Index i = 0; i < here; i += length) {
          const T* a = A.data() + i0 + i + l0 * A.ld();
          Index lda = A.ld();
          const bool whole = i + length <= here;
          if (!whole) {  // Zeros below the last rows.
            for (Index l = 0; l < depth; ++l) std::copy_n(a + l * lda, here - i, last.data() + l * last.ld());
            a = last.data();
            lda = last.ld();
          }
          for (Index g = 0; g < groups.count; ++g) {
            const Index first = g * coming / groups.count, end = (g + 1) * coming / groups.count;
            multiply_run(groups.vectors, {.x = packed.data() + (g * n + l0) * groups.columns,
                                          .x_row = groups.columns,
                                          .a = a,
                                          .lda = lda,
                                          .depth = depth,
                                          .sums = sums.data() + g * groups.columns * pitch + i,
                                          .pitch = pitch,
                                          .ahead = A.data() + i0 + i + (l0 + depth + first) * A.ld(),
                                          .rows_ahead = whole ? end - first : 0});
          }
        }
      }
      store_tile<T>(alpha, sums.view().block(0, 0, here, k), beta, C.middle_rows(i0, here));
    }
  }
}

template void multiply_runs(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template void multiply_runs(double, MatrixView<const double>, MatrixView<const double>, double, MatrixView<double>);

}  // namespace lowrank::panel
