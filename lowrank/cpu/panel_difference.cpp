#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_difference.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <lowrank/cpu/panel_pack.hpp>
#include <lowrank/cpu/sum_of_squares.hpp>
#include <vector>

namespace lowrank {

template <Real T>
double panel_difference_squared(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) {
  if (X.order() == Order::col_major) return panel_difference_squared<T>(X.transposed(), R.transposed(), L.transposed());
  const panel::Shape kernels = panel::shape();
  const panel::PackedPanel<T> packed(R, kernels);
  const panel::ColumnGroups& columns = packed.columns;
  const Index m = X.rows(), n = X.cols(), depth = R.rows(), strip = kernels.strip;
  // Groups of R's columns that stay in the second-level cache while the rows of X go by.
  const Index group_bytes = depth * kernels.most_vectors * kernels.vector_bytes;
  const Index together = std::max<Index>(1, panel::second_level_cache() / 2 / group_bytes);
  std::vector<double> squares(static_cast<std::size_t>((m + strip - 1) / strip), 0.0);
#pragma omp parallel
  {
    Matrix<T> left(depth, strip, Order::row_major);  // Of -L, as a tile takes it.
    Matrix<T> tile(strip * kernels.most_vectors * columns.lanes, 1);
    for (Index g0 = 0; g0 < columns.groups; g0 += together)
#pragma omp for schedule(static)
      for (Index i0 = 0; i0 < m; i0 += strip) {
        for (Index l = 0; l < depth; ++l)
          for (Index i = 0; i < strip; ++i) left(l, i) = i0 + i < m ? -L(i0 + i, l) : T(0);
        double sum = 0;
        for (Index g = g0; g < std::min(columns.groups, g0 + together); ++g) {
          const Index vectors = columns.count(g), rows = panel::rows_of_group(strip, vectors);
          const Index length = vectors * columns.lanes, j0 = columns.first(g) * columns.lanes;
          const Index real = std::min(length, n - j0);
          for (Index i = i0; i < std::min(m, i0 + strip); i += rows) {
            const Index here = std::min(rows, m - i);
            if (real < length || here < rows) std::fill_n(tile.data(), rows * length, T(0));
            for (Index r = 0; r < here; ++r) std::copy_n(&X(i + r, j0), real, tile.data() + r * length);
            panel::multiply_run(vectors, panel::RunTask<T>{.x = left.data() + (i - i0),
                                                           .x_row = strip,
                                                           .a = packed.group(g),
                                                           .lda = length,
                                                           .depth = depth,
                                                           .sums = tile.data(),
                                                           .pitch = length,
                                                           .ahead = nullptr,
                                                           .rows_ahead = 0});
            sum += sum_of_squares(tile.data(), rows * length);
          }
        }
        squares[static_cast<std::size_t>(i0 / strip)] += sum;
      }
  }
  double total = 0;
  for (const double square : squares) total += square;
  return total;
}

template <Real T>
bool panel_difference_suits(MatrixView<const T> X, Index inner) {
  return panel_multiply_is_vectorized() && std::min(X.rows(), X.cols()) >= 64 && inner >= 1 && inner <= 128;
}

template double panel_difference_squared(MatrixView<const float>, MatrixView<const float>, MatrixView<const float>);
template double panel_difference_squared(MatrixView<const double>, MatrixView<const double>, MatrixView<const double>);
template bool panel_difference_suits(MatrixView<const float>, Index);
template bool panel_difference_suits(MatrixView<const double>, Index);

}  // namespace lowrank
