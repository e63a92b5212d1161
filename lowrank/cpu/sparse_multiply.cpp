#include <lowrank/cpu/sparse_multiply.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/sparse_multiply.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstddef>

HWY_BEFORE_NAMESPACE();
namespace lowrank {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The row of the panel that an entry meets, into the cache.
template <class T>
HWY_INLINE void Fetch(const T* row, std::size_t k) {
  constexpr std::size_t line = 64 / sizeof(T);
  for (std::size_t j = 0; j < k; j += line) hwy::Prefetch(row + j);
}

/// sum += a[0]·x[0] + .. + a[Entries - 1]·x[Entries - 1] in columns j .. k, as far as whole vectors go; where it
/// stopped.
template <std::size_t Entries, class D, class T>
HWY_INLINE std::size_t Columns(D d, std::size_t j, std::size_t k, const T* a, const T* const* x, T* HWY_RESTRICT sum) {
  hn::Vec<D> factor[Entries];
#pragma GCC unroll 4
  for (std::size_t e = 0; e < Entries; ++e) factor[e] = hn::Set(d, a[e]);
  for (; j + hn::Lanes(d) <= k; j += hn::Lanes(d)) {
    auto s = hn::Load(d, sum + j);
#pragma GCC unroll 4
    for (std::size_t e = 0; e < Entries; ++e) s = hn::MulAdd(factor[e], hn::LoadU(d, x[e] + j), s);
    hn::Store(s, d, sum + j);
  }
  return j;
}

/// The same in all k columns: whole vectors, then ever narrower ones.
template <std::size_t Entries, class T>
HWY_INLINE void Add(const T* a, const T* const* x, std::size_t k, T* HWY_RESTRICT sum) {
  std::size_t j = Columns<Entries>(hn::ScalableTag<T>(), 0, k, a, x, sum);
  if (j < k) j = Columns<Entries>(hn::CappedTag<T, 8>(), j, k, a, x, sum);
  if (j < k) j = Columns<Entries>(hn::CappedTag<T, 4>(), j, k, a, x, sum);
  if (j < k) j = Columns<Entries>(hn::CappedTag<T, 2>(), j, k, a, x, sum);
  if (j < k) Columns<Entries>(hn::CappedTag<T, 1>(), j, k, a, x, sum);
}

/// sum += Σ value[e]·(row col[e] of x). Four entries at a time, so that sums are loaded and stored once for four
/// multiply-adds. Of the `known` entries from here on those beyond `count` are fetched as well.
template <class T>
HWY_INLINE void Row(const Index* col, const T* value, std::size_t count, std::size_t known, const T* x, std::size_t ldx,
                    std::size_t k, T* HWY_RESTRICT sum) {
  constexpr std::size_t ahead = 8;
  const auto row = [&](std::size_t e) { return x + static_cast<std::size_t>(col[e]) * ldx; };
  std::size_t e = 0;
  for (; e + 4 <= count; e += 4) {
    if (e + ahead + 4 <= known)
      for (std::size_t f = 0; f < 4; ++f) Fetch(row(e + ahead + f), k);
    const T* const from[4] = {row(e), row(e + 1), row(e + 2), row(e + 3)};
    Add<4>(value + e, from, k, sum);
  }
  for (; e < count; ++e) {
    if (e + ahead < known) Fetch(row(e + ahead), k);
    const T* const from[1] = {row(e)};
    Add<1>(value + e, from, k, sum);
  }
}

/// Some rows: start[0] .. start[rows] of col and value, of which `entries` can be read in all.
template <class T>
void Rows(const Index* start, std::size_t rows, std::size_t entries, const Index* col, const T* value, const T* x,
          std::size_t ldx, std::size_t k, T* sums, std::size_t lds) {
  for (std::size_t i = 0; i < rows; ++i) {
    const auto from = static_cast<std::size_t>(start[i]), to = static_cast<std::size_t>(start[i + 1]);
    Row(col + from, value + from, to - from, entries - from, x, ldx, k, sums + i * lds);
  }
}

void RowsF32(const Index* start, std::size_t rows, std::size_t entries, const Index* col, const float* value,
             const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  Rows(start, rows, entries, col, value, x, ldx, k, sums, lds);
}
void RowsF64(const Index* start, std::size_t rows, std::size_t entries, const Index* col, const double* value,
             const double* x, std::size_t ldx, std::size_t k, double* sums, std::size_t lds) {
  Rows(start, rows, entries, col, value, x, ldx, k, sums, lds);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/core/primitives.hpp>

namespace lowrank {
namespace {

HWY_EXPORT(RowsF32);
HWY_EXPORT(RowsF64);

void rows(const Index* start, std::size_t count, std::size_t entries, const Index* col, const float* value,
          const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF32)(start, count, entries, col, value, x, ldx, k, sums, lds);
}
void rows(const Index* start, std::size_t count, std::size_t entries, const Index* col, const double* value,
          const double* x, std::size_t ldx, std::size_t k, double* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF64)(start, count, entries, col, value, x, ldx, k, sums, lds);
}

/// Elements from row to row of a panel by rows: whole cache lines where that adds a quarter at most, so that a row
/// touches no line more than it must.
template <Real T>
Index row_stride(Index k) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  return k >= 4 * line ? (k + line - 1) / line * line : k;
}

/// A tile by rows into a view of either order.
template <Real T>
void store(const T* tile, Index ld, MatrixView<T> Y) {
  if (Y.order() == Order::row_major) {
    for (Index i = 0; i < Y.rows(); ++i) std::copy_n(tile + i * ld, Y.cols(), Y.data() + i * Y.ld());
  } else {
    for (Index j = 0; j < Y.cols(); ++j)
      for (Index i = 0; i < Y.rows(); ++i) Y.data()[j * Y.ld() + i] = tile[i * ld + j];
  }
}

}  // namespace

template <Real T>
void sparse_multiply(const CompressedRows<T>& A, MatrixView<const T> X, MatrixView<T> Y) {
  const Index k = X.cols();
  if (Y.empty()) return;
  Matrix<T> by_rows;
  if (X.order() != Order::row_major) {
    by_rows = Matrix<T>(X.rows(), row_stride<T>(k), Order::row_major);
    copy<T>(X, by_rows.left_cols(k));
    X = by_rows.view().left_cols(k);
  }
  constexpr Index tile = 64;
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  const Index lds = (k + line - 1) / line * line;
#pragma omp parallel
  {
    Matrix<T> sums(tile * lds, 1);
#pragma omp for schedule(dynamic, 1)
    for (Index i = 0; i < A.rows; i += tile) {
      const Index count = std::min(tile, A.rows - i);
      std::fill_n(sums.data(), count * lds, T(0));
      rows(A.start + i, static_cast<std::size_t>(count), static_cast<std::size_t>(A.start[A.rows]), A.col, A.value,
           X.data(), static_cast<std::size_t>(X.ld()), static_cast<std::size_t>(k), sums.data(),
           static_cast<std::size_t>(lds));
      store<T>(sums.data(), lds, Y.middle_rows(i, count));
    }
  }
}

template void sparse_multiply(const CompressedRows<float>&, MatrixView<const float>, MatrixView<float>);
template void sparse_multiply(const CompressedRows<double>&, MatrixView<const double>, MatrixView<double>);

}  // namespace lowrank
#endif  // HWY_ONCE
