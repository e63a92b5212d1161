#include <lowrank/cpu/panel_kernel.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/panel_kernel.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lowrank::panel {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Registers: with 32 of them 24 hold sums, with 16 it is 12. A group of V vectors of columns goes with kSums/V rows of
/// A; a strip has as many rows as the narrowest group takes.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr Index kSums = 24, kMaxVectors = 4;
#else
constexpr Index kSums = 12, kMaxVectors = 3;
#endif

/// C (R rows, stride ldc) += a·x over `depth`.
template <Index V, class T>
HWY_INLINE void MicroKernel(const T* HWY_RESTRICT a, Index a_row, Index a_col, const T* HWY_RESTRICT x, Index depth,
                            T* HWY_RESTRICT c, Index ldc) {
  constexpr Index R = kSums / V;
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  Vector sum[R][V];
#pragma GCC unroll 24
  for (Index i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (Index v = 0; v < V; ++v) sum[i][v] = hn::Zero(d);
  for (Index l = 0; l < depth; ++l) {
    Vector row[V];
#pragma GCC unroll 4
    for (Index v = 0; v < V; ++v) row[v] = hn::Load(d, x + v * lanes);
    x += V * lanes;
#pragma GCC unroll 24
    for (Index i = 0; i < R; ++i) {
      const Vector entry = hn::Set(d, a[i * a_row]);
#pragma GCC unroll 4
      for (Index v = 0; v < V; ++v) sum[i][v] = hn::MulAdd(entry, row[v], sum[i][v]);
    }
    a += a_col;
  }
#pragma GCC unroll 24
  for (Index i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (Index v = 0; v < V; ++v) {
      T* at = c + i * ldc + v * lanes;
      hn::Store(hn::Add(hn::Load(d, at), sum[i][v]), d, at);
    }
}

template <Index V, class T>
void Strip(const T* a, Index a_row, Index a_col, const T* x, Index depth, T* c, Index ldc) {
  constexpr Index R = kSums / V;
  for (Index i = 0; i < kSums; i += R) {
    MicroKernel<V>(a + i * a_row, a_row, a_col, x, depth, c + i * ldc, ldc);
  }
}

template <class T>
void StripOf(Index vectors, const T* a, Index a_row, Index a_col, const T* x, Index depth, T* c, Index ldc) {
  switch (vectors) {
    case 1:
      return Strip<1>(a, a_row, a_col, x, depth, c, ldc);
    case 2:
      return Strip<2>(a, a_row, a_col, x, depth, c, ldc);
    case 3:
      return Strip<3>(a, a_row, a_col, x, depth, c, ldc);
    default:
      if constexpr (kMaxVectors >= 4) return Strip<4>(a, a_row, a_col, x, depth, c, ldc);
  }
}

void StripF32(Index vectors, const float* a, Index a_row, Index a_col, const float* x, Index depth, float* c,
              Index ldc) {
  StripOf(vectors, a, a_row, a_col, x, depth, c, ldc);
}
void StripF64(Index vectors, const double* a, Index a_row, Index a_col, const double* x, Index depth, double* c,
              Index ldc) {
  StripOf(vectors, a, a_row, a_col, x, depth, c, ldc);
}

Shape ShapeOf() {
  return {static_cast<Index>(hn::Lanes(hn::ScalableTag<float>()) * sizeof(float)), kMaxVectors, kSums};
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::panel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::panel {

HWY_EXPORT(StripF32);
HWY_EXPORT(StripF64);
HWY_EXPORT(ShapeOf);

Shape shape() { return HWY_DYNAMIC_DISPATCH(ShapeOf)(); }

void multiply_strip(Index vectors, const float* a, Index a_row, Index a_col, const float* x, Index depth, float* c,
                    Index ldc) {
  HWY_DYNAMIC_DISPATCH(StripF32)(vectors, a, a_row, a_col, x, depth, c, ldc);
}
void multiply_strip(Index vectors, const double* a, Index a_row, Index a_col, const double* x, Index depth, double* c,
                    Index ldc) {
  HWY_DYNAMIC_DISPATCH(StripF64)(vectors, a, a_row, a_col, x, depth, c, ldc);
}

}  // namespace lowrank::panel
#endif  // HWY_ONCE
