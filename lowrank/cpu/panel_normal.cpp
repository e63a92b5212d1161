#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <lowrank/cpu/panel_normal.hpp>
#include <lowrank/cpu/panel_pack.hpp>
#include <lowrank/cpu/panel_tile.hpp>
#include <lowrank/cpu/round_up.hpp>

namespace lowrank {
namespace {

/// Rows that go through both products together.
constexpr Index kRows = 48;
/// Entries of a row that are summed in one run.
constexpr Index kRun = 1024;
constexpr Index kMostSlices = 128;

Index slices_of(Index m, Index n) { return std::clamp<Index>(m / std::max<Index>(n, 1), 1, kMostSlices); }

/// Some rows of A as entries of T: where they lie if they are whole strips, else a copy, rounded or with zeros below.
/// Of the columns that make no whole strip there is always one, with zeros beside them.
template <Real S, Real T>
class RowBlock {
 public:
  RowBlock(Index most_rows, Index cols, Index strip)
      : strip_(strip),
        whole_(cols / strip * strip),
        pitch_(round_up(cols, strip) + 64 / static_cast<Index>(sizeof(T))),
        copy_(checked_product(round_up(most_rows, strip), pitch_), 1) {}

  void load(MatrixView<const S> A) {
    const bool in_place = std::is_same_v<S, T> && A.rows() % strip_ == 0;
    const Index first = in_place ? whole_ : 0;
    // Strips their own height apart lie without gaps.
    for (Index i = 0; i < A.rows() && first < A.cols(); ++i)
      panel::copy_in_strips(A.data() + i * A.ld() + first, A.cols() - first, copy_.data() + i * pitch_ + first, strip_);
    for (Index i = A.rows(); i < round_up(A.rows(), strip_); ++i)
      std::fill_n(copy_.data() + i * pitch_, round_up(A.cols(), strip_), T(0));
    data = copy_.data();
    step = pitch_;
    if constexpr (std::is_same_v<S, T>)
      if (in_place) data = A.data(), step = A.ld();
  }
  /// The strip of columns from j on, and how far apart its rows are.
  const T* strip_at(Index j) const { return (j < whole_ ? data : copy_.data()) + j; }
  Index step_at(Index j) const { return j < whole_ ? step : pitch_; }

  const T* data = nullptr;
  Index step = 0;

 private:
  Index strip_, whole_, pitch_;
  Matrix<T> copy_;
};

}  // namespace

template <Real S, Real T>
void panel_multiply_normal(MatrixView<const S> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) {
  const panel::Shape kernels = panel::shape();
  const Index m = A.rows(), n = A.cols(), k = X.cols(), strip = kernels.strip, block = round_up(kRows, strip);
  const panel::PackedPanel<T> packed(X, kernels);
  const panel::ColumnGroups& columns = packed.columns;
  const Index width = columns.width, lines = round_up(n, strip), slices = slices_of(m, n);
  const Index blocks = (m + block - 1) / block;
  Matrix<T> sums(checked_product(slices * lines, width), 1);
#pragma omp parallel
  {
    RowBlock<S, T> rows(block, n, strip);
    Matrix<T> image(block * width, 1);  // Of the block, by groups of columns as the kernels take a panel.
#pragma omp for schedule(dynamic)
    for (Index s = 0; s < slices; ++s) {
      T* const slice = sums.data() + s * lines * width;
      std::fill_n(slice, lines * width, T(0));
      const Index end = std::min(m, (s + 1) * blocks / slices * block);
      for (Index i0 = s * blocks / slices * block; i0 < end; i0 += block) {
        const Index here = std::min(block, end - i0);
        rows.load(A.middle_rows(i0, here));
        std::fill_n(image.data(), image.size(), T(0));
        const auto group = [&](Index g) { return image.data() + block * columns.first(g) * columns.lanes; };
        for (Index l = 0; l < n; l += kRun)
          for (Index i = 0; i < here; i += strip)
            for (Index g = 0; g < columns.groups; ++g) {
              const Index length = columns.count(g) * columns.lanes;
              panel::multiply_strip(
                  columns.count(g),
                  panel::StripTask<T, T>{
                      .a = rows.data + i * rows.step + l,
                      .a_row = rows.step,
                      .a_col = 1,
                      .x = packed.group(g) + l * length,
                      .depth = std::min(kRun, n - l),
                      .sums = group(g) + i * length,
                      .pitch = length,
                      .ahead = panel::rows_ahead(A, i0 + block + i, l, strip).share(g, columns.groups)});
            }
        for (Index j = 0; j < n; j += strip)
          for (Index g = 0; g < columns.groups; ++g)
            panel::multiply_strip(columns.count(g),
                                  panel::StripTask<T, T>{.a = rows.strip_at(j),
                                                         .a_row = 1,
                                                         .a_col = rows.step_at(j),
                                                         .x = group(g),
                                                         .depth = here,
                                                         .sums = slice + j * width + columns.first(g) * columns.lanes,
                                                         .pitch = width,
                                                         .ahead = {}});
        for (Index g = 0; g < columns.groups; ++g) {
          const Index length = columns.count(g) * columns.lanes, first = columns.first(g) * columns.lanes;
          const Index real = std::min(length, k - first);
          panel::store_tile<T>(1, MatrixView<const T>(group(g), here, real, length, Order::row_major), 0,
                               Y.block(i0, first, here, real));
        }
      }
    }
#pragma omp for schedule(static)
    for (Index j0 = 0; j0 < n; j0 += strip) {
      const Index here = std::min(strip, n - j0);
      for (Index s = 0; s < slices; ++s)
        panel::store_tile<T>(
            1, MatrixView<const T>(sums.data() + (s * lines + j0) * width, here, k, width, Order::row_major),
            s == 0 ? T(0) : T(1), Z.middle_rows(j0, here));
    }
  }
}

template <Real S, Real T>
bool panel_normal_suits(MatrixView<const S> A, Index columns) {
  constexpr Index least_slices = 16, fewest_columns = 192;
  const Index bytes = checked_product(A.cols(), columns) * static_cast<Index>(sizeof(T));
  return panel_multiply_is_vectorized() && A.order() == Order::row_major && A.cols() >= fewest_columns &&
         A.rows() >= least_slices * A.cols() && columns >= 8 && bytes <= panel::second_level_cache() / 2;
}

template void panel_multiply_normal(MatrixView<const float>, MatrixView<const float>, MatrixView<float>,
                                    MatrixView<float>);
template void panel_multiply_normal(MatrixView<const double>, MatrixView<const double>, MatrixView<double>,
                                    MatrixView<double>);
template void panel_multiply_normal(MatrixView<const double>, MatrixView<const float>, MatrixView<float>,
                                    MatrixView<float>);
template bool panel_normal_suits<float, float>(MatrixView<const float>, Index);
template bool panel_normal_suits<double, double>(MatrixView<const double>, Index);
template bool panel_normal_suits<double, float>(MatrixView<const double>, Index);

}  // namespace lowrank
