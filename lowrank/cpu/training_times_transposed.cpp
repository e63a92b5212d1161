#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_times_transposed.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

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

#if HWY_TARGET != HWY_SCALAR
/// The sum of each 16-byte block's fellows: lane i of the result is Σ over the blocks of their lane i.
template <class D>
HWY_INLINE hn::Vec<hn::CappedTag<hn::TFromD<D>, 16 / sizeof(hn::TFromD<D>)>> SumOfBlocks(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) * sizeof(hn::TFromD<D>) <= 16) {
    return v;
  } else {
    const hn::Half<D> half;
    return SumOfBlocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

/// to[r] = the sum of the lanes of v[r], for four vectors at once: interleaving adds them in a third of the
/// instructions of four sums.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void SumsOfLanes(D d, const hn::Vec<D>* v, T* to) {
  const hn::CappedTag<T, 16 / sizeof(T)> block;
  const auto ab = hn::Add(hn::InterleaveLower(d, v[0], v[1]), hn::InterleaveUpper(d, v[0], v[1]));
  const auto cd = hn::Add(hn::InterleaveLower(d, v[2], v[3]), hn::InterleaveUpper(d, v[2], v[3]));
  if constexpr (sizeof(T) == 4) {
    const hn::Repartition<double, D> pairs;
    const auto p = hn::BitCast(pairs, ab), q = hn::BitCast(pairs, cd);
    const auto sums =
        hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, p, q)), hn::BitCast(d, hn::InterleaveUpper(pairs, p, q)));
    hn::StoreU(SumOfBlocks(d, sums), block, to);
  } else {
    hn::StoreU(SumOfBlocks(d, ab), block, to);
    hn::StoreU(SumOfBlocks(d, cd), block, to + 2);
  }
}
#endif

/// R rows of W against N rows of X: R·N sums over `in`, vectors run along it.
template <int R, int N, class T>
HWY_INLINE void Tile(const Product<T>& work, Size row, Size sample) {
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
      SumsOfLanes(d, column, sums);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] = hn::GetLane(hn::SumOfLanes(d, sum[r][b]));
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      T y = work.alpha * sums[r];
      if (work.bias != nullptr) y += work.bias[row + r];
      for (Index k = 0; k < work.rank; ++k)
        y += work.H[(static_cast<Index>(sample) + b) * work.ldh + k] *
             work.B[k * work.ldb + static_cast<Index>(row) + r];
      // Written so that a NaN stays one.
      work.Y[(static_cast<Index>(sample) + b) * work.ldy + static_cast<Index>(row) + r] =
          work.relu && y < T(0) ? T(0) : y;
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

template <class T>
HWY_INLINE void Strip(const Product<T>& work) {
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
