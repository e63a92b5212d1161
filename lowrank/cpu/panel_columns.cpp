#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_columns.hpp>
#include <lowrank/cpu/panel_kernel.hpp>
#include <lowrank/cpu/panel_tile.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/panel_columns.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lowrank::panel {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Columns of A, and of X, that go together through the inner loop: for every vector of rows it loads and stores
/// kPart vectors of sums, loads kGroup of A and has kGroup·kPart products to add, enough to hide all of that. Longer
/// groups make longer chains of additions, and with 16 registers more entries of X that have to be loaded again.
constexpr Index kGroup = 4, kPart = 4;

/// One vector of rows of J columns of sums += G columns of A times x.
template <Index G, Index J, class D, class T, class Vector>
HWY_INLINE void AddProducts(D d, const T* HWY_RESTRICT a, Index lda, const Vector (&x)[G][J], T* HWY_RESTRICT sums,
                            Index pitch) {
  Vector sum[J];
#pragma GCC unroll 4
  for (Index j = 0; j < J; ++j) sum[j] = hn::Load(d, sums + j * pitch);
#pragma GCC unroll 4
  for (Index g = 0; g < G; ++g) {
    const Vector column = hn::LoadU(d, a + g * lda);
#pragma GCC unroll 4
    for (Index j = 0; j < J; ++j) sum[j] = hn::MulAdd(column, x[g][j], sum[j]);
  }
#pragma GCC unroll 4
  for (Index j = 0; j < J; ++j) hn::Store(sum[j], d, sums + j * pitch);
}

/// J columns of sums += G columns of A times a block of X, down all rows. The last rows go through a whole vector, too:
/// every entry is summed in the same way wherever blocks begin and end.
template <Index G, Index J, class T>
void Sweep(const T* HWY_RESTRICT a, Index lda, Index rows, const T* x, Index x_row, Index x_col, T* HWY_RESTRICT sums,
           Index pitch, const Ahead& ahead) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  constexpr Index lanes = static_cast<Index>(HWY_MAX_BYTES / sizeof(T));
  constexpr Index step = std::max<Index>(lanes, 64 / sizeof(T));
  Vector entries[G][J];
#pragma GCC unroll 4
  for (Index g = 0; g < G; ++g)
#pragma GCC unroll 4
    for (Index j = 0; j < J; ++j) entries[g][j] = hn::Set(d, x[g * x_row + j * x_col]);
  Index i = 0;
  for (; i + step <= rows; i += step) {
    ahead.ask<3>(i, step);
#pragma GCC unroll 4
    for (Index v = 0; v < step; v += lanes) AddProducts(d, a + i + v, lda, entries, sums + i + v, pitch);
  }
  for (; i < rows; i += lanes) {
    const Index left = std::min(lanes, rows - i);
    HWY_ALIGN T last[G * lanes] = {};
    for (Index g = 0; g < G; ++g)
      for (Index r = 0; r < left; ++r) last[g * lanes + r] = a[g * lda + i + r];
    AddProducts(d, last, lanes, entries, sums + i, pitch);
  }
}

/// All columns of sums += G columns of A times G rows of X.
template <Index G, class T>
void Group(const T* a, Index lda, Index rows, const T* x, Index x_row, Index x_col, Index k, T* sums, Index pitch,
           const Ahead& ahead) {
  const Index parts = (k + kPart - 1) / kPart;
  for (Index p = 0; p < parts; ++p) {
    const Index j = p * k / parts, width = (p + 1) * k / parts - j;
    const Ahead share = ahead.share(p, parts);
    const T* block = x + j * x_col;
    T* to = sums + j * pitch;
    switch (width) {
      case 1:
        Sweep<G, 1>(a, lda, rows, block, x_row, x_col, to, pitch, share);
        break;
      case 2:
        Sweep<G, 2>(a, lda, rows, block, x_row, x_col, to, pitch, share);
        break;
      case 3:
        Sweep<G, 3>(a, lda, rows, block, x_row, x_col, to, pitch, share);
        break;
      default:
        Sweep<G, 4>(a, lda, rows, block, x_row, x_col, to, pitch, share);
    }
  }
}

/// A group of A where it lies, or rounded in pieces that stay in the first-level cache.
template <Index G, class S, class T>
void GroupOf(const ColumnsTask<S, T>& task, Index l, const Ahead& ahead) {
  const S* a = task.a + l * task.lda;
  const T* x = task.x + l * task.x_row;
  if constexpr (std::is_same_v<S, T>) {
    Group<G>(a, task.lda, task.rows, x, task.x_row, task.x_col, task.k, task.sums, task.pitch, ahead);
  } else {
    constexpr Index piece = 512;
    HWY_ALIGN T rounded[G * piece];
    for (Index i = 0; i < task.rows; i += piece) {
      const Index here = std::min(piece, task.rows - i);
      for (Index g = 0; g < G; ++g)
        for (Index r = 0; r < here; ++r) rounded[g * piece + r] = static_cast<T>(a[g * task.lda + i + r]);
      Group<G>(rounded, piece, here, x, task.x_row, task.x_col, task.k, task.sums + i, task.pitch, ahead.from_entry(i));
    }
  }
}

template <class S, class T>
void AddColumns(const ColumnsTask<S, T>& task) {
  const Index all = task.depth + task.following;
  const auto ahead = [&](Index l) -> Ahead {
    return {reinterpret_cast<const char*>(task.a + l * task.lda), task.lda * static_cast<Index>(sizeof(S)),
            static_cast<Index>(sizeof(S)), std::min(kGroup, all - l)};
  };
  Index l = 0;
  for (; l + kGroup <= task.depth; l += kGroup) GroupOf<kGroup>(task, l, ahead(l + kGroup));
  for (; l < task.depth; ++l) GroupOf<1>(task, l, ahead(all));
}

void AddColumnsFF(const ColumnsTask<float, float>& task) { AddColumns(task); }
void AddColumnsDD(const ColumnsTask<double, double>& task) { AddColumns(task); }
void AddColumnsDF(const ColumnsTask<double, float>& task) { AddColumns(task); }

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::panel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::panel {
namespace {

HWY_EXPORT(AddColumnsFF);
HWY_EXPORT(AddColumnsDD);
HWY_EXPORT(AddColumnsDF);

void add_columns(const ColumnsTask<float, float>& task) { HWY_DYNAMIC_DISPATCH(AddColumnsFF)(task); }
void add_columns(const ColumnsTask<double, double>& task) { HWY_DYNAMIC_DISPATCH(AddColumnsDD)(task); }
void add_columns(const ColumnsTask<double, float>& task) { HWY_DYNAMIC_DISPATCH(AddColumnsDF)(task); }

/// Rows of C that are computed at a time: runs of A so long that the memory is read at its full rate, but no more
/// sums than stay in a second-level cache, and so many blocks that the threads end together; for many threads, blocks
/// that are not too short either. A multiple of a cache line, so that no line is read by two threads.
template <Real S, Real T>
Index rows_of_block(Index m, Index k) {
  constexpr Index run = Index{8} << 10, least_run = 256, sums = Index{160} << 10, line = 64 / sizeof(T);
  const Index most =
      std::min<Index>(run / sizeof(S), std::max<Index>(sums / (k * static_cast<Index>(sizeof(T))), line));
  const Index team = threads(), blocks = ((m + most - 1) / most + team - 1) / team * team;
  const Index even = std::max<Index>((m + blocks - 1) / blocks, least_run / sizeof(S));
  return (even + line - 1) / line * line;
}

}  // namespace

template <Real S, Real T>
void multiply_columns(T alpha, MatrixView<const S> A, MatrixView<const T> X, T beta, MatrixView<T> C) {
  const Index m = A.rows(), n = A.cols(), k = X.cols(), height = rows_of_block<S, T>(m, k);
  // So many products make one sum; these sums are added up in C, which keeps rounding errors small.
  constexpr Index most_depth = 512;
  // Columns of sums lie a cache line more apart, so that it is no power of two.
  const Index pitch = height + 64 / static_cast<Index>(sizeof(T));
  const bool by_rows = X.order() == Order::row_major;
#pragma omp parallel
  {
    Matrix<T> sums(pitch, k);
#pragma omp for schedule(dynamic)
    for (Index i = 0; i < m; i += height) {
      const Index rows = std::min(height, m - i);
      const MatrixView<const T> tile = sums.view().block(0, 0, rows, k);
      // Once even for a matrix without columns.
      for (Index l = 0; l == 0 || l < n; l += most_depth) {
        const Index depth = std::min(most_depth, n - l);
        std::fill_n(sums.data(), sums.size(), T(0));
        add_columns({A.data() + i + l * A.ld(), A.ld(), rows, depth, n - l - depth,
                     X.data() + l * (by_rows ? X.ld() : 1), by_rows ? X.ld() : 1, by_rows ? 1 : X.ld(), k, sums.data(),
                     pitch});
        store_tile<T>(alpha, tile, l == 0 ? beta : T(1), C.middle_rows(i, rows));
      }
    }
  }
}

template <Real S, Real T>
bool few_columns(Index k) {
  // Measured with AVX2: beyond, OpenBLAS or the copying kernels are as fast. With vectors of 64 bytes multiply_runs
  // takes over where the memory does not set the pace; it has no way of rounding. With more registers copying pays
  // sooner.
  constexpr bool mixed = !std::is_same_v<S, T>, single = std::is_same_v<T, float>;
  switch (shape().vector_bytes) {
    case 64:
      return k <= (mixed ? 12 : 3);
    case 32:
      return k <= (mixed ? 44 : single ? 31 : 28);
    default:
      return k <= (single ? 12 : 8);
  }
}

template bool few_columns<float, float>(Index);
template bool few_columns<double, double>(Index);
template bool few_columns<double, float>(Index);
template void multiply_columns(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template void multiply_columns(double, MatrixView<const double>, MatrixView<const double>, double, MatrixView<double>);
template void multiply_columns(float, MatrixView<const double>, MatrixView<const float>, float, MatrixView<float>);

}  // namespace lowrank::panel
#endif  // HWY_ONCE
