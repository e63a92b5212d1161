#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_times_transposed.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <algorithm>
#include <lowrank/cpu/lane_sums-inl.hpp>
#include <lowrank/cpu/training_vectors-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Tiles fill 32 registers, or 16.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kRows = 4, kBatch = 5;
#else
constexpr int kRows = 2, kBatch = 5;
#endif

/// What is added to a sum, and the activation.
template <class T>
HWY_INLINE T Finished(const Product<T>& work, Index sample, Index row, T sum) {
  T y = work.alpha * sum;
  if (work.bias != nullptr) y += work.bias[row];
  for (Index k = 0; k < work.rank; ++k) y += work.H[sample * work.ldh + k] * work.B[k * work.ldb + row];
  // Written so that a NaN stays one.
  return work.relu && y < T(0) ? T(0) : y;
}

/// R rows of W against N rows of X: R·N sums over `in`, vectors run along it. Not inlined, as the other tiles are not:
/// one function of all of them takes compilers many times as long, and a call is nothing beside a tile.
template <int R, int N, class T>
HWY_NOINLINE void Tile(const Product<T>& work, Size row, Size sample) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const Size ldw = static_cast<Size>(work.ldw), ldx = static_cast<Size>(work.ldx);
  const T* HWY_RESTRICT W = work.W + row * ldw;
  const T* HWY_RESTRICT X = work.X + sample * ldx;
  Vector sum[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int b = 0; b < N; ++b) sum[r][b] = hn::Zero(d);
  const T* ahead = W + (R + (sample > 0 ? R / 2 : 0)) * ldw;
  ForVectors(0, static_cast<Size>(work.in), hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    constexpr bool kPart = decltype(part)::value;
    if (sample <= kBatch)
#pragma GCC unroll 8
      for (int r = 0; r < R / 2; ++r) __builtin_prefetch(ahead + r * ldw + i, 0, 2);
    Vector w[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) w[r] = Load<kPart>(d, W + r * ldw + i, n);
#pragma GCC unroll 8
    for (int b = 0; b < N; ++b) {
      const Vector x = Load<kPart>(d, X + b * ldx + i, n);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sum[r][b] = hn::MulAdd(w[r], x, sum[r][b]);
    }
  });
#pragma GCC unroll 8
  for (int b = 0; b < N; ++b) {
    T sums[R];
    if constexpr (R == 4) {
      const Vector column[4] = {sum[0][b], sum[1][b], sum[2][b], sum[3][b]};
      lowrank::HWY_NAMESPACE::SumsOfLanes(d, column, sums);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] = hn::GetLane(hn::SumOfLanes(d, sum[r][b]));
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Index at = static_cast<Index>(row) + r, b_at = static_cast<Index>(sample) + b;
      work.Y[b_at * work.ldy + at] = Finished(work, b_at, at, sums[r]);
    }
  }
}

template <int R, class T>
HWY_INLINE void AllSamples(const Product<T>& work, Size row) {
  const Size batch = static_cast<Size>(work.batch);
  Size b = 0;
  for (; b + kBatch <= batch; b += kBatch) Tile<R, kBatch>(work, row, b);
  switch (batch - b) {
    case 4:
      return Tile<R, 4>(work, row, b);
    case 3:
      return Tile<R, 3>(work, row, b);
    case 2:
      return Tile<R, 2>(work, row, b);
    case 1:
      return Tile<R, 1>(work, row, b);
    default:
      return;
  }
}

/// N samples' sums of the columns [first, last) of one row, kept where Y is until the last columns. The row `next` is
/// asked for.
template <int N, class T>
HWY_NOINLINE void MaskedTile(const Product<T>& work, Index row, Index next, const Index* samples, Index first,
                             Index last) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  constexpr int U = N >= 4 ? 2 : N >= 2 ? 4 : 8;  // Enough sums that none waits for another.
  const Size lanes = hn::Lanes(d);
  const T *HWY_RESTRICT W = work.W + row * work.ldw, *ahead = work.W + next * work.ldw;
  const T* HWY_RESTRICT X[N];
  Vector sum[N][U];
#pragma GCC unroll 8
  for (int b = 0; b < N; ++b) {
    X[b] = work.X + samples[b] * work.ldx;
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) sum[b][u] = hn::Zero(d);
  }
  Size i = static_cast<Size>(first);
  const Size end = static_cast<Size>(last);
  for (; i + U * lanes <= end; i += U * lanes) {
    AskFor<U>(d, ahead + i);
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) {
      const Vector w = hn::LoadU(d, W + i + u * lanes);
#pragma GCC unroll 8
      for (int b = 0; b < N; ++b) sum[b][u] = hn::MulAdd(w, hn::LoadU(d, X[b] + i + u * lanes), sum[b][u]);
    }
  }
  ForVectors(i, end, lanes, [&](auto part, Size at, Size n) HWY_ATTR {
    const Vector w = Load<decltype(part)::value>(d, W + at, n);
#pragma GCC unroll 8
    for (int b = 0; b < N; ++b) sum[b][0] = hn::MulAdd(w, Load<decltype(part)::value>(d, X[b] + at, n), sum[b][0]);
  });
#pragma GCC unroll 8
  for (int b = 0; b < N; ++b) {
    Vector all = sum[b][0];
#pragma GCC unroll 8
    for (int u = 1; u < U; ++u) all = hn::Add(all, sum[b][u]);
    T* y = work.Y + samples[b] * work.ldy + row;
    *y += hn::GetLane(hn::SumOfLanes(d, all));
    if (last == work.in) *y = Finished(work, samples[b], row, *y);
  }
}

/// The first row from `row` on in which the mask lets a sample through.
template <class T>
HWY_INLINE Index NextUnmasked(const Product<T>& work, Index row) {
  for (; row < work.cols; ++row)
    for (Index b = 0; b < work.batch; ++b)
      if (work.mask[b * work.ldmask + row] > 0) return row;
  return row;
}

/// Only what the mask lets through. Columns go in parts such that all samples' stay in the first cache.
template <class T>
HWY_INLINE void MaskedStrip(const Product<T>& work) {
  constexpr Index cache = 24 << 10;
  const Index width = std::max<Index>(256, cache / static_cast<Index>(sizeof(T)) / work.batch / 64 * 64);
  for (Index first = 0; first < work.in; first += width) {
    const Index last = std::min(work.in, first + width);
    for (Index row = 0; row < work.cols; ++row) {
      Index samples[most_samples], count = 0;
      for (Index b = 0; b < work.batch; ++b) {
        if (first == 0) work.Y[b * work.ldy + row] = 0;
        samples[count] = b;
        count += work.mask[b * work.ldmask + row] > 0 ? 1 : 0;
      }
      if (count == 0) continue;
      const Index found = NextUnmasked(work, row + 1), next = found < work.cols ? found : row;
      const Index* at = samples;
      for (; count >= kBatch; count -= kBatch, at += kBatch) MaskedTile<kBatch>(work, row, next, at, first, last);
      if (count == 4) MaskedTile<4>(work, row, next, at, first, last);
      if (count == 3) MaskedTile<3>(work, row, next, at, first, last);
      if (count == 2) MaskedTile<2>(work, row, next, at, first, last);
      if (count == 1) MaskedTile<1>(work, row, next, at, first, last);
    }
  }
}

template <class T>
HWY_INLINE void Strip(const Product<T>& work) {
  if (work.mask != nullptr) return MaskedStrip(work);
  const Size rows = static_cast<Size>(work.cols);
  Size row = 0;
  for (; row + kRows <= rows; row += kRows) AllSamples<kRows>(work, row);
  for (; row < rows; ++row) AllSamples<1>(work, row);
}

// What is exported cannot be a template.
void TimesTransposedF32(const Product<float>& work) { Strip(work); }
void TimesTransposedF64(const Product<double>& work) { Strip(work); }

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::kernels {

HWY_EXPORT(TimesTransposedF32);
HWY_EXPORT(TimesTransposedF64);

template <>
void times_transposed(const Product<float>& work) {
  HWY_DYNAMIC_DISPATCH(TimesTransposedF32)(work);
}
template <>
void times_transposed(const Product<double>& work) {
  HWY_DYNAMIC_DISPATCH(TimesTransposedF64)(work);
}

}  // namespace lowrank::kernels
#endif  // HWY_ONCE
