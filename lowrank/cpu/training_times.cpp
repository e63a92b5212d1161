#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_times.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <lowrank/cpu/training_vectors-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A tile is `kWide` vectors of sums for one sample, and a block of rows of W beneath it stays in the first cache for
// all samples: 24 KiB.
constexpr Size kWide = 12;
#if HWY_TARGET <= HWY_AVX3
constexpr Size kBlock = 64;
#else
constexpr Size kBlock = 64;
#endif

/// Bit i says whether x[i] is not zero (a NaN is not), for n <= 64.
template <class T>
HWY_INLINE std::uint64_t NonzeroBits(const T* x, Size n) {
  const hn::ScalableTag<T> d;
  constexpr Size kBytes = (hn::MaxLanes(d) + 7) / 8;
  std::uint64_t bits = 0;
  ForVectors(0, n, hn::Lanes(d), [&](auto part, Size i, Size count) HWY_ATTR {
    std::uint8_t bytes[std::max<Size>(8, kBytes)];
    hn::StoreMaskBits(d, hn::Not(hn::Eq(Load<decltype(part)::value>(d, x + i, count), hn::Zero(d))), bytes);
    for (Size k = 0; k < kBytes && i + 8 * k < 64; ++k) bits |= static_cast<std::uint64_t>(bytes[k]) << (i + 8 * k);
  });
  return bits;
}

/// What is added to the sums, and the activation.
template <bool kPart, class D, class T>
HWY_INLINE hn::Vec<D> Finished(D d, const Product<T>& work, hn::Vec<D> sum, Index sample, Size col, Size n) {
  const auto zero = hn::Zero(d);
  const Index at = static_cast<Index>(col);
  auto y = hn::Mul(hn::Set(d, work.alpha), sum);
  if (work.bias != nullptr) y = hn::Add(y, Load<kPart>(d, work.bias + at, n));
  for (Index k = 0; k < work.rank; ++k)
    y = hn::MulAdd(hn::Set(d, work.H[sample * work.ldh + k]), Load<kPart>(d, work.B + k * work.ldb + at, n), y);
  // Written so that a NaN stays one.
  if (work.relu) y = hn::IfThenZeroElse(hn::Lt(y, zero), y);
  if (work.mask != nullptr)
    y = hn::IfThenElseZero(hn::Gt(Load<kPart>(d, work.mask + sample * work.ldmask + at, n), zero), y);
  return y;
}

/// The rows of a block that are not zero in each sample and in any of them, bit i for row i of the block.
struct Used {
  std::uint64_t by[most_samples], any;

  template <class T>
  HWY_INLINE void find(const Product<T>& work, Size row) {
    any = 0;
    const Size in = static_cast<Size>(work.in);
    for (Index b = 0; row < in && b < work.batch; ++b)
      any |= by[b] = NonzeroBits(work.X + b * work.ldx + row, std::min(kBlock, in - row));
  }
};

/// What comes after a tile: `rows` of it beginning at `from` are asked for, a few with each sample. Their addresses are
/// too far apart to be foreseen.
template <class T>
struct Next {
  const T* from;
  std::uint64_t rows;
  int share;

  HWY_INLINE Next(const T* from_, std::uint64_t rows_, Index batch)
      : from(from_),
        rows(rows_),
        share((std::popcount(rows_) + static_cast<int>(batch) - 1) / static_cast<int>(batch)) {}
  template <Size kLines>
  HWY_INLINE void ask(Size ldw) {
    for (int k = 0; k < share && rows != 0; ++k, rows &= rows - 1) {
      const T* line = from + static_cast<Size>(std::countr_zero(rows)) * ldw;
#pragma GCC unroll 16
      for (Size l = 0; l < kLines; ++l) __builtin_prefetch(line + l * (64 / sizeof(T)), 0, 2);
    }
  }
};

/// One block of rows, from `row` on, beneath V vectors of columns. Not inlined: it compiles sooner, and a call is
/// nothing beside a tile.
template <Size V, bool kPart, class T>
HWY_NOINLINE void TimesTile(const Product<T>& work, const std::uint64_t* used, Size row, bool last, Size col, Size n,
                            Next<T> next) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const Size lanes = hn::Lanes(d), ldw = static_cast<Size>(work.ldw);
  const T* HWY_RESTRICT W = work.W + row * ldw + col;
  for (Index b = 0; b < work.batch; ++b) {
    const T* HWY_RESTRICT x = work.X + b * work.ldx + static_cast<Index>(row);
    T* HWY_RESTRICT y = work.Y + b * work.ldy + static_cast<Index>(col);
    next.template ask<(V * hn::MaxLanes(d) * sizeof(T) + 63) / 64>(ldw);
    Vector sum[V];
#pragma GCC unroll 12
    for (Size v = 0; v < V; ++v) sum[v] = row == 0 ? hn::Zero(d) : Load<kPart>(d, y + v * lanes, n);
    for (std::uint64_t left = used[b]; left != 0; left &= left - 1) {
      const Size i = static_cast<Size>(std::countr_zero(left));
      const Vector e = hn::Set(d, x[i]);
      const T* HWY_RESTRICT w = W + i * ldw;
#pragma GCC unroll 12
      for (Size v = 0; v < V; ++v) sum[v] = hn::MulAdd(e, Load<kPart>(d, w + v * lanes, n), sum[v]);
    }
#pragma GCC unroll 12
    for (Size v = 0; v < V; ++v)
      Store<kPart>(last ? Finished<kPart>(d, work, sum[v], b, col + v * lanes, n) : sum[v], d, y + v * lanes, n);
  }
}

template <class T>
HWY_INLINE void TimesStrip(const Product<T>& work) {
  const hn::ScalableTag<T> d;
  const Size lanes = hn::Lanes(d), in = static_cast<Size>(work.in), cols = static_cast<Size>(work.cols);
  Used now, then;
  then.find(work, 0);
  for (Size row = 0; row == 0 || row < in; row += kBlock) {
    now = then;
    then.find(work, row + kBlock);
    const bool last = row + kBlock >= in;
    const T* block = work.W + row * static_cast<Size>(work.ldw);
    const auto tile = [&](auto v, auto part, Size at, Size n) HWY_ATTR {
      constexpr Size V = decltype(v)::value;
      const Size to = at + V * lanes;
      const Next<T> next = to < cols ? Next<T>(block + to, now.any, work.batch)
                                     : Next<T>(block + kBlock * static_cast<Size>(work.ldw), then.any, work.batch);
      TimesTile<V, decltype(part)::value>(work, now.by, row, last, at, n, next);
    };
    Size col = 0;
    for (; col + kWide * lanes <= cols && col + (kWide + 4) * lanes != cols; col += kWide * lanes)
      tile(std::integral_constant<Size, kWide>(), std::false_type(), col, lanes);
    for (; col + 8 * lanes <= cols; col += 8 * lanes)
      tile(std::integral_constant<Size, 8>(), std::false_type(), col, lanes);
    for (; col + 4 * lanes <= cols; col += 4 * lanes)
      tile(std::integral_constant<Size, 4>(), std::false_type(), col, lanes);
    ForVectors(col, cols, lanes,
               [&](auto part, Size at, Size n) HWY_ATTR { tile(std::integral_constant<Size, 1>(), part, at, n); });
  }
}

// What is exported cannot be a template.
void TimesF32(const Product<float>& work) { TimesStrip(work); }
void TimesF64(const Product<double>& work) { TimesStrip(work); }

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::kernels {

HWY_EXPORT(TimesF32);
HWY_EXPORT(TimesF64);

template <>
void times(const Product<float>& work) {
  HWY_DYNAMIC_DISPATCH(TimesF32)(work);
}
template <>
void times(const Product<double>& work) {
  HWY_DYNAMIC_DISPATCH(TimesF64)(work);
}

}  // namespace lowrank::kernels
#endif  // HWY_ONCE
