#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_kernel.hpp>
#include <lowrank/cpu/panel_runs.hpp>
#include <lowrank/cpu/panel_tile.hpp>
#include <lowrank/cpu/round_up.hpp>

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

/// X with rows of groups.width() entries, zeros at their ends.
template <Real T>
Matrix<T> packed_rows(MatrixView<const T> X, Index width) {
  const Index n = X.rows(), k = X.cols();
  Matrix<T> packed(width, n);
  const Index row = X.order() == Order::row_major ? X.ld() : 1, col = X.order() == Order::row_major ? 1 : X.ld();
  constexpr Index together = 64;
#pragma omp parallel for schedule(static)
  for (Index l0 = 0; l0 < n; l0 += together)
    for (Index j = 0; j < width; ++j)
      for (Index l = l0; l < std::min(n, l0 + together); ++l)
        packed.data()[l * packed.ld() + j] = j < k ? X.data()[l * row + j * col] : T(0);
  return packed;
}

}  // namespace

template <Real T>
void multiply_runs(T alpha, MatrixView<const T> A, MatrixView<const T> X, T beta, MatrixView<T> C) {
  const Shape kernels = shape();
  const Index m = A.rows(), n = A.cols(), k = X.cols();
  const Groups groups(k, kernels);
  const Index width = groups.width(), length = groups.vectors * kernels.vector_bytes / static_cast<Index>(sizeof(T));
  // Columns of A that go together, and the bytes of each: 32 lines of 48 columns a power of two apart are within a
  // second-level cache's ways.
  constexpr Index most_depth = 48, most_bytes = 2048, sums_bytes = Index{256} << 10;
  constexpr Index entry = static_cast<Index>(sizeof(T));
  const Index most = std::max(length, std::min(most_bytes / entry, sums_bytes / (width * entry)) / length * length);
  const Index team = threads(), blocks = round_up((m + most - 1) / most, team);
  const Index height = round_up((m + blocks - 1) / blocks, length);
  const Matrix<T> packed = packed_rows<T>(X, width);
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
            multiply_run(groups.vectors, {.x = packed.data() + l0 * packed.ld() + g * groups.columns,
                                          .x_row = packed.ld(),
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
