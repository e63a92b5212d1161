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

/// Some rows of A, each from its entry from[i] to to[i]: sums (by rows, stride lds) += those entries times the rows of
/// x (stride ldx, the first is for column `first`). Four entries at a time, so that sums are loaded and stored once for
/// four multiply-adds.
template <class T>
void Rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const T* value, Index first,
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

void RowsF32(const Index* from, const Index* to, std::size_t rows, const Index* col, const float* value, Index first,
             const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  Rows(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void RowsF64(const Index* from, const Index* to, std::size_t rows, const Index* col, const double* value, Index first,
             const double* x, std::size_t ldx, std::size_t k, double* sums, std::size_t lds) {
  Rows(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <algorithm>
#include <lowrank/core/matrix.hpp>
#include <lowrank/core/primitives.hpp>
#include <vector>

namespace lowrank {
namespace {

HWY_EXPORT(RowsF32);
HWY_EXPORT(RowsF64);

void add_rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const float* value, Index first,
              const float* x, std::size_t ldx, std::size_t k, float* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF32)(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}
void add_rows(const Index* from, const Index* to, std::size_t rows, const Index* col, const double* value, Index first,
              const double* x, std::size_t ldx, std::size_t k, double* sums, std::size_t lds) {
  HWY_DYNAMIC_DISPATCH(RowsF64)(from, to, rows, col, value, first, x, ldx, k, sums, lds);
}

/// Elements from row to row of a panel by rows: whole cache lines where that adds a quarter at most, so that a row
/// touches no line more than it must.
template <Real T>
Index row_stride(Index k) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  return k >= 4 * line ? (k + line - 1) / line * line : k;
}

/// Rows of the panel that are worked on at a time. Where the panel outgrows the cache and A has entries enough for Y to
/// be added to several times, so many that they stay there.
template <Real T>
Index block_rows(const CompressedRows<T>& A, Index stride) {
  constexpr Index cache = Index{8} << 20;
  const Index fit = std::max<Index>(1, cache / (std::max<Index>(1, stride) * static_cast<Index>(sizeof(T))));
  const Index worth = A.sorted ? A.start[A.rows] / (4 * A.rows) : 1, wanted = (A.cols + fit - 1) / fit;
  const Index blocks = std::clamp<Index>(wanted, 1, std::max<Index>(1, worth));
  return blocks == 1 ? A.cols : (A.cols + blocks - 1) / blocks;
}

/// Y = tile or Y += tile, which lies by rows.
template <Real T>
void store(const T* tile, Index ld, bool add, MatrixView<T> Y) {
  const bool by_rows = Y.order() == Order::row_major;
  const Index lines = by_rows ? Y.rows() : Y.cols(), length = by_rows ? Y.cols() : Y.rows();
  for (Index l = 0; l < lines; ++l) {
    T* line = Y.data() + l * Y.ld();
    for (Index i = 0; i < length; ++i) {
      const T sum = by_rows ? tile[l * ld + i] : tile[i * ld + l];
      line[i] = add ? line[i] + sum : sum;
    }
  }
}

}  // namespace

template <Real T>
void sparse_multiply(const CompressedRows<T>& A, MatrixView<const T> X, MatrixView<T> Y) {
  if (Y.empty()) return;
  const Index k = X.cols(), stride = X.order() == Order::row_major ? X.ld() : row_stride<T>(k);
  const Index block = block_rows(A, stride);
  // Of each row the entries in this block lie from from[i] to to[i].
  std::vector<Index> from(A.start, A.start + A.rows), to(A.start + 1, A.start + A.rows + 1);
  Matrix<T> by_rows(X.order() == Order::row_major ? 0 : block, stride, Order::row_major);
  // An odd number of cache lines, so that a tile's columns do not fight for the same ones.
  constexpr Index tile = 64, line = 64 / static_cast<Index>(sizeof(T));
  const Index lds = ((k + line - 1) / line | 1) * line;
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
            Index &begin = from.data()[r], &end = to.data()[r];
            if (first > 0) begin = end;
            for (end = begin; end < A.start[r + 1] && A.col[end] < next;) ++end;
          }
        std::fill_n(sums.data(), count * lds, T(0));
        add_rows(from.data() + i, to.data() + i, static_cast<std::size_t>(count), A.col, A.value, first, part.data(),
                 static_cast<std::size_t>(part.ld()), static_cast<std::size_t>(k), sums.data(),
                 static_cast<std::size_t>(lds));
        store<T>(sums.data(), lds, first > 0, Y.middle_rows(i, count));
      }
    }
    first = next;
  } while (first < A.cols);
}

template void sparse_multiply(const CompressedRows<float>&, MatrixView<const float>, MatrixView<float>);
template void sparse_multiply(const CompressedRows<double>&, MatrixView<const double>, MatrixView<double>);

}  // namespace lowrank
#endif  // HWY_ONCE
