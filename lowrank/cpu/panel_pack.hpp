#pragma once

#include <unistd.h>

#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_groups.hpp>
#include <lowrank/cpu/panel_kernel.hpp>

/// Panels as the kernels of panel_kernel take them.

namespace lowrank::panel {

template <Real T>
ColumnGroups columns_of(Index k, const Shape& shape) {
  return {k, shape.vector_bytes / static_cast<Index>(sizeof(T)), shape.most_vectors};
}

/// Rows of X by groups: group g starts at n·lanes·first(g) and holds n rows of count(g) vectors; columns beyond k are
/// zero.
template <Real T>
void pack_panel(MatrixView<const T> X, const ColumnGroups& columns, T* packed) {
  const Index n = X.rows(), k = X.cols();
#pragma omp parallel for schedule(static) collapse(2)
  for (Index g = 0; g < columns.groups; ++g)
    for (Index l0 = 0; l0 < n; l0 += 64) {
      const Index width = columns.count(g) * columns.lanes, j0 = columns.first(g) * columns.lanes;
      const Index rows = std::min<Index>(64, n - l0), real = std::min(width, k - j0);
      T* to = packed + n * j0 + l0 * width;
      if (X.order() == Order::row_major) {
        for (Index l = 0; l < rows; ++l) std::copy_n(&X(l0 + l, j0), real, to + l * width);
      } else {
        for (Index j = 0; j < real; ++j)
          for (Index l = 0; l < rows; ++l) to[l * width + j] = X.data()[l0 + l + (j0 + j) * X.ld()];
      }
      for (Index l = 0; l < rows; ++l) std::fill(to + l * width + real, to + (l + 1) * width, T(0));
    }
}

inline Index second_level_cache() {
  const long reported = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return reported > 0 ? reported : Index{512} << 10;
}

/// A panel, packed for the kernels.
template <Real T>
struct PackedPanel {
  PackedPanel(MatrixView<const T> X, const Shape& shape)
      : columns(columns_of<T>(X.cols(), shape)), rows(X.rows()), packed(checked_product(rows, columns.width), 1) {
    pack_panel<T>(X, columns, packed.data());
  }
  /// sums (rows columns.width apart) += a strip of A, its columns from l0 on, times group g.
  template <Real S>
  void multiply(Index g, const S* a, Index row_step, Index col_step, Index l0, Index depth, T* sums,
                const Ahead& ahead = {}) const {
    const Index vectors = columns.count(g), j0 = columns.first(g) * columns.lanes;
    multiply_strip(vectors, StripTask<S, T>{.a = a,
                                            .a_row = row_step,
                                            .a_col = col_step,
                                            .x = group(g) + l0 * vectors * columns.lanes,
                                            .depth = depth,
                                            .sums = sums + j0,
                                            .pitch = columns.width,
                                            .ahead = ahead});
  }

  /// The rows of group g, without gaps.
  const T* group(Index g) const { return packed.data() + rows * columns.first(g) * columns.lanes; }

  ColumnGroups columns;
  Index rows;
  Matrix<T> packed;
};

/// The rows of A from (i, l) on, up to `count`, for asking ahead; none beyond A.
template <Real S>
Ahead rows_ahead(MatrixView<const S> A, Index i, Index l, Index count) {
  if (i >= A.rows() || l >= A.cols()) return {};
  constexpr Index entry = static_cast<Index>(sizeof(S));
  return {reinterpret_cast<const char*>(A.data() + i * A.ld() + l), A.ld() * entry, entry,
          std::min(count, A.rows() - i)};
}

}  // namespace lowrank::panel
