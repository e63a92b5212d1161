#include <lowrank/core/sparse_multiply.hpp>

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
  hwy::Prefetch(row + k - 1);  // Where the row does not begin with a line.
}

/// sum += a[0]·x[0] + .. + a[Entries - 1]·x[Entries - 1] in columns j .. k, as far as whole vectors go; where it
/// stopped.
template <std::size_t Entries, class D, class T, class S>
HWY_INLINE std::size_t Columns(D d, std::size_t j, std::size_t k, const S* a, const T* const* x, T* HWY_RESTRICT sum) {
  hn::Vec<D> factor[Entries];
#pragma GCC unroll 4
  for (std::size_t e = 0; e < Entries; ++e) factor[e] = hn::Set(d, static_cast<T>(a[e]));
  for (; j + hn::Lanes(d) <= k; j += hn::Lanes(d)) {
    auto s = hn::Load(d, sum + j);
#pragma GCC unroll 4
    for (std::size_t e = 0; e < Entries; ++e) s = hn::MulAdd(factor[e], hn::LoadU(d, x[e] + j), s);
    hn::Store(s, d, sum + j);
  }
  return j;
}

/// The same in all k columns: whole vectors, then ever narrower ones.
template <std::size_t Entries, class T, class S>
HWY_INLINE void Add(const S* a, const T* const* x, std::size_t k, T* HWY_RESTRICT sum) {
  std::size_t j = Columns<Entries>(hn::ScalableTag<T>(), 0, k, a, x, sum);
  if (j < k) j = Columns<Entries>(hn::CappedTag<T, 8>(), j, k, a, x, sum);
  if (j < k) j = Columns<Entries>(hn::CappedTag<T, 4>(), j, k, a, x, sum);
  if (j < k) j = Columns<Entries>(hn::CappedTag<T, 2>(), j, k, a, x, sum);
  if (j < k) Columns<Entries>(hn::CappedTag<T, 1>(), j, k, a, x, sum);
}

/// Some rows of A, each from its entry from[i] to to[i]: sums (by rows, stride lds) += those entries times the rows of
/// x (stride ldx, the first is for column `first`). Four entries at a time, so that sums are loaded and stored once for
/// four multiply-adds.
template <class T, class S>
void Rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const S* value, Index first,
          const T* x, std::size_t ldx, std::size_t k, T* sums, std::size_t lds) {
  // Entries from the one that is asked for to the one at work.
  constexpr Index ahead = 8;
  const auto row = [&](Index e) { return x + static_cast<std::size_t>(col[e] - first) * ldx; };
  for (std::size_t i = 0; i < rows; ++i, sums += lds) {
    const Index end = to[i], beyond = i + 1 < rows ? from[i + 1] - end : 0, last = i + 1 < rows ? to[i + 1] : end;
    const auto ask = [&](Index e) {
      if (e >= end) e += beyond;
      if (e < last) Fetch(row(e), k);
    };
    Index e = from[i];
    for (; e + 4 <= end; e += 4) {
      for (Index f = e + ahead; f < e + ahead + 4; ++f) ask(f);
      const T* const at[4] = {row(e), row(e + 1), row(e + 2), row(e + 3)};
      Add<4>(value + e, at, k, sums);
    }
    for (; e < end; ++e) {
      ask(e + ahead);
      const T* const at[1] = {row(e)};
      Add<1>(value + e, at, k, sums);
    }
  }
}

/// Some rows of A: y (by rows, stride ldy) += their entries times the rows of x (stride ldx, one for each row of A), in
/// columns j .. j + Vectors·lanes; what a row is multiplied with stays in registers.
template <std::size_t Vectors, class D, class T, class S>
HWY_INLINE void Spread(D d, const Index* start, std::size_t rows, const Index* col, const S* value, const T* x,
                       std::size_t ldx, T* y, std::size_t ldy) {
  // Entries from the one whose sums are asked for to the one at work.
  constexpr Index ahead = 16;
  constexpr std::size_t line = 64 / sizeof(T);
  const std::size_t lanes = hn::Lanes(d);
  const Index last = start[rows];
  for (std::size_t i = 0; i < rows; ++i, x += ldx) {
    hn::Vec<D> row[Vectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Vectors; ++v) row[v] = hn::Load(d, x + v * lanes);
    for (Index e = start[i]; e < start[i + 1]; ++e) {
      if (e + ahead < last) {
        const T* const next = y + static_cast<std::size_t>(col[e + ahead]) * ldy;
        for (std::size_t j = 0; j < Vectors * lanes; j += line) hwy::Prefetch(next + j);
      }
      T* const sums = y + static_cast<std::size_t>(col[e]) * ldy;
      const auto factor = hn::Set(d, static_cast<T>(value[e]));
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Vectors; ++v)
        hn::Store(hn::MulAdd(factor, row[v], hn::Load(d, sums + v * lanes)), d, sums + v * lanes);
    }
  }
}

/// The same in `k` columns and as many more as fill the last vector.
template <class T, class S>
void RowsTransposed(const Index* start, std::size_t rows, const Index* col, const S* value, const T* x, std::size_t ldx,
                    std::size_t k, T* y, std::size_t ldy) {
  const hn::ScalableTag<T> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t vectors = (k + lanes - 1) / lanes;
  for (; vectors >= 8; vectors -= 8, x += 8 * lanes, y += 8 * lanes)
    Spread<8>(d, start, rows, col, value, x, ldx, y, ldy);
  switch (vectors) {
    case 7:
      return Spread<7>(d, start, rows, col, value, x, ldx, y, ldy);
    case 6:
      return Spread<6>(d, start, rows, col, value, x, ldx, y, ldy);
    case 5:
      return Spread<5>(d, start, rows, col, value, x, ldx, y, ldy);
    case 4:
      return Spread<4>(d, start, rows, col, value, x, ldx, y, ldy);
    case 3:
      return Spread<3>(d, start, rows, col, value, x, ldx, y, ldy);
    case 2:
      return Spread<2>(d, start, rows, col, value, x, ldx, y, ldy);
    case 1:
      return Spread<1>(d, start, rows, col, value, x, ldx, y, ldy);
    default:
      return;
  }
}

void RowsF32(const Index* from, const Index* to, std::size_t rows, const Index* col, const float* value, Index first,
             const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  Rows(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void RowsF64(const Index* from, const Index* to, std::size_t rows, const Index* col, const double* value, Index first,
             const double* x, std::size_t ldx, std::size_t k, double* sums, std::size_t lds) {
  Rows(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void RowsF64ToF32(const Index* from, const Index* to, std::size_t rows, const Index* col, const double* value,
                  Index first, const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  Rows(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void RowsTransposedF32(const Index* start, std::size_t rows, const Index* col, const float* value, const float* x,
                       std::size_t ldx, std::size_t k, float* y, std::size_t ldy) {
  RowsTransposed(start, rows, col, value, x, ldx, k, y, ldy);
}
void RowsTransposedF64(const Index* start, std::size_t rows, const Index* col, const double* value, const double* x,
                       std::size_t ldx, std::size_t k, double* y, std::size_t ldy) {
  RowsTransposed(start, rows, col, value, x, ldx, k, y, ldy);
}
void RowsTransposedF64ToF32(const Index* start, std::size_t rows, const Index* col, const double* value, const float* x,
                            std::size_t ldx, std::size_t k, float* y, std::size_t ldy) {
  RowsTransposed(start, rows, col, value, x, ldx, k, y, ldy);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <omp.h>

#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/core/primitives.hpp>
#include <vector>

namespace lowrank {
namespace {

HWY_EXPORT(RowsF32);
HWY_EXPORT(RowsF64);
HWY_EXPORT(RowsF64ToF32);

void add_rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const float* value, Index first,
              const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF32)(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void add_rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const double* value, Index first,
              const double* x, std::size_t ldx, std::size_t k, double* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF64)(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void add_rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const double* value, Index first,
              const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF64ToF32)(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}

HWY_EXPORT(RowsTransposedF32);
HWY_EXPORT(RowsTransposedF64);
HWY_EXPORT(RowsTransposedF64ToF32);

void add_rows_transposed(const Index* start, std::size_t rows, const Index* col, const float* value, const float* x,
                         std::size_t ldx, std::size_t k, float* y, std::size_t ldy) {
  HWY_DYNAMIC_DISPATCH(RowsTransposedF32)(start, rows, col, value, x, ldx, k, y, ldy);
}
void add_rows_transposed(const Index* start, std::size_t rows, const Index* col, const double* value, const double* x,
                         std::size_t ldx, std::size_t k, double* y, std::size_t ldy) {
  HWY_DYNAMIC_DISPATCH(RowsTransposedF64)(start, rows, col, value, x, ldx, k, y, ldy);
}
void add_rows_transposed(const Index* start, std::size_t rows, const Index* col, const double* value, const float* x,
                         std::size_t ldx, std::size_t k, float* y, std::size_t ldy) {
  HWY_DYNAMIC_DISPATCH(RowsTransposedF64ToF32)(start, rows, col, value, x, ldx, k, y, ldy);
}

/// What of a panel should stay in the caches while A is swept over.
constexpr Index cache_bytes = Index{8} << 20;

template <Real T>
constexpr Index cache_line = 64 / static_cast<Index>(sizeof(T));

/// Elements from row to row of a panel by rows: whole cache lines where that adds a quarter at most, so that a row
/// touches no line more than it must.
template <Real T>
Index row_stride(Index k) {
  const Index whole = (k + cache_line<T> - 1) / cache_line<T> * cache_line<T>;
  return 4 * whole <= 5 * k ? whole : k;
}

/// Columns of a panel of `rows` rows, met in any order, that are worked on at a time: whole cache lines of each row, as
/// many as stay in the cache. Where not even one does, all of them: a row that is fetched from memory may as well be
/// long.
template <Real T>
Index chunk_columns(Index rows, Index columns) {
  const Index lines = cache_bytes / 64 / std::max<Index>(1, rows);
  return lines == 0 ? columns : std::min(columns, lines * cache_line<T>);
}

/// Rows of the panel that are worked on at a time. Where the panel outgrows the cache and A has entries enough for Y to
/// be added to several times, so many that they stay there.
template <Real T, Real S>
Index block_rows(const CompressedRows<S>& A, Index stride) {
  const Index fit = std::max<Index>(1, cache_bytes / (std::max<Index>(1, stride) * static_cast<Index>(sizeof(T))));
  const Index worth = A.sorted ? A.start[A.rows] / (4 * A.rows) : 1, wanted = (A.cols + fit - 1) / fit;
  const Index blocks = std::clamp<Index>(wanted, 1, std::max<Index>(1, worth));
  return blocks == 1 ? A.cols : (A.cols + blocks - 1) / blocks;
}

/// to = fromᵀ, with `rows` rows of `from`: in tiles, so that both sides stay in the first cache.
template <Real T>
void transpose(const T* from, Index from_ld, Index rows, Index cols, T* to, Index to_ld) {
  constexpr Index tile = 16;
  for (Index i = 0; i < rows; i += tile)
    for (Index j = 0; j < cols; ++j)
      for (Index l = i; l < std::min(i + tile, rows); ++l) to[j * to_ld + l] = from[l * from_ld + j];
}

/// Rows of a panel to or from a tile that holds them by rows.
template <Real T>
void load(MatrixView<const T> panel, T* tile, Index ld) {
  if (panel.order() == Order::col_major)
    return transpose(panel.data(), panel.ld(), panel.cols(), panel.rows(), tile, ld);
  for (Index i = 0; i < panel.rows(); ++i) std::copy_n(panel.data() + i * panel.ld(), panel.cols(), tile + i * ld);
}
template <Real T>
void store(const T* tile, Index ld, MatrixView<T> panel) {
  if (panel.order() == Order::col_major)
    return transpose(tile, ld, panel.rows(), panel.cols(), panel.data(), panel.ld());
  for (Index i = 0; i < panel.rows(); ++i) std::copy_n(tile + i * ld, panel.cols(), panel.data() + i * panel.ld());
}

/// Y = A·X for columns enough to go through together.
template <Real T, Real S>
void multiply_chunk(const CompressedRows<S>& A, MatrixView<const T> X, MatrixView<T> Y) {
  const Index k = X.cols(), stride = X.order() == Order::row_major ? X.ld() : row_stride<T>(k);
  const Index block = block_rows<T>(A, stride);
  // Of each row the entries in this block lie from from[i] to to[i].
  std::vector<Index> cut_from, cut_to;
  if (block < A.cols) {
    cut_from.assign(A.start, A.start + A.rows);
    cut_to = cut_from;
  }
  const Index *const from = cut_from.empty() ? A.start : cut_from.data(), *const to = cut_to.empty() ? A.start + 1
                                                                                                     : cut_to.data();
  Matrix<T> by_rows(X.order() == Order::row_major ? 0 : block, stride, Order::row_major);
  // An odd number of cache lines, so that a tile's columns do not fight for the same ones.
  constexpr Index tile = 64;
  const Index lds = ((k + cache_line<T> - 1) / cache_line<T> | 1) * cache_line<T>;
  Index first = 0;
  do {
    const Index next = std::min(first + block, A.cols);
    MatrixView<const T> part = X.middle_rows(first, next - first);
    if (!by_rows.empty()) {
      const MatrixView<T> turned = by_rows.view().block(0, 0, next - first, k);
      copy<T>(part, turned);
      part = turned;
    }
#pragma omp parallel
    {
      Matrix<T> sums(tile * lds, 1);
#pragma omp for schedule(dynamic, 1)
      for (Index i = 0; i < A.rows; i += tile) {
        const Index count = std::min(tile, A.rows - i);
        if (block < A.cols)
          for (Index r = i; r < i + count; ++r) {
            Index &begin = cut_from[static_cast<std::size_t>(r)], &end = cut_to[static_cast<std::size_t>(r)];
            for (begin = end; end < A.start[r + 1] && A.col[end] < next;) ++end;
          }
        const MatrixView<T> here = Y.middle_rows(i, count);
        if (first == 0)
          std::fill_n(sums.data(), count * lds, T(0));
        else
          load<T>(here, sums.data(), lds);
        add_rows(from + i, to + i, static_cast<std::size_t>(count), A.col, A.value, first, part.data(),
                 static_cast<std::size_t>(part.ld()), static_cast<std::size_t>(k), sums.data(),
                 static_cast<std::size_t>(lds));
        store<T>(sums.data(), lds, here);
      }
    }
    first = next;
  } while (first < A.cols);
}

}  // namespace

template <Real T, Real S>
void sparse_multiply(const CompressedRows<S>& A, MatrixView<const T> X, MatrixView<T> Y) {
  if (Y.empty()) return;
  const Index chunk = chunk_columns<T>(A.cols, Y.cols());
  for (Index j = 0; j < Y.cols(); j += chunk) {
    const Index k = std::min(chunk, Y.cols() - j);
    multiply_chunk<T>(A, X.middle_cols(j, k), Y.middle_cols(j, k));
  }
}

template <Real T, Real S>
void sparse_multiply_transposed(const CompressedRows<S>& A, MatrixView<const T> X, MatrixView<T> Y) {
  if (Y.empty()) return;
  // Every thread goes through all of A, each with its own columns of the panel.
  constexpr Index tile = 64, line = cache_line<T>;
  const Index each = (Y.cols() + threads() - 1) / threads();
  const Index chunk = chunk_columns<T>(A.cols, (each + line - 1) / line * line);
  const Index chunks = (Y.cols() + chunk - 1) / chunk, ld = (std::min(chunk, Y.cols()) + line - 1) / line * line;
  // Taken here: what is thrown in a parallel region ends the program.
  const auto team = static_cast<std::size_t>(std::min<Index>(chunks, threads()));
  std::vector<Matrix<T>> sums_of(team), rows_of(team);
  for (std::size_t t = 0; t < team; ++t) {
    sums_of[t] = Matrix<T>(A.cols, ld, Order::row_major);
    rows_of[t] = Matrix<T>(tile, ld, Order::row_major);
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(team))
  for (Index c = 0; c < chunks; ++c) {
    Matrix<T>& sums = sums_of[static_cast<std::size_t>(omp_get_thread_num())];
    Matrix<T>& rows = rows_of[static_cast<std::size_t>(omp_get_thread_num())];
    const Index j = c * chunk, k = std::min(chunk, Y.cols() - j);
    std::fill_n(sums.data(), sums.size(), T(0));
    std::fill_n(rows.data(), rows.size(), T(0));
    for (Index i = 0; i < A.rows; i += tile) {
      const Index count = std::min(tile, A.rows - i);
      load<T>(X.block(i, j, count, k), rows.data(), ld);
      add_rows_transposed(A.start + i, static_cast<std::size_t>(count), A.col, A.value, rows.data(),
                          static_cast<std::size_t>(ld), static_cast<std::size_t>(k), sums.data(),
                          static_cast<std::size_t>(ld));
    }
    store<T>(sums.data(), ld, Y.middle_cols(j, k));
  }
}

template void sparse_multiply(const CompressedRows<float>&, MatrixView<const float>, MatrixView<float>);
template void sparse_multiply(const CompressedRows<double>&, MatrixView<const double>, MatrixView<double>);
template void sparse_multiply(const CompressedRows<double>&, MatrixView<const float>, MatrixView<float>);
template void sparse_multiply_transposed(const CompressedRows<float>&, MatrixView<const float>, MatrixView<float>);
template void sparse_multiply_transposed(const CompressedRows<double>&, MatrixView<const double>, MatrixView<double>);
template void sparse_multiply_transposed(const CompressedRows<double>&, MatrixView<const float>, MatrixView<float>);

}  // namespace lowrank
#endif  // HWY_ONCE
