#include <algorithm>
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
/// A, so that a strip of kSums rows is whole for any V; but no more than fit one set of a first-level cache, since rows
/// may lie a power of two apart.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr Index kSums = 24, kMaxVectors = 4;
#else
constexpr Index kSums = 12, kMaxVectors = 3;
#endif

template <Index V>
constexpr Index kRows = V == 1 ? kSums / 3 : kSums / V;

/// C (R rows, stride ldc) += a·x over `depth`, the rows of x being x_row apart; ask(l) is called in between.
template <Index V, class S, class T, class Ask>
HWY_INLINE void MicroKernel(const S* HWY_RESTRICT a, Index a_row, Index a_col, const T* HWY_RESTRICT x, Index x_row,
                            Index depth, T* HWY_RESTRICT c, Index ldc, const Ask& ask) {
  constexpr Index R = kRows<V>;
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
    for (Index v = 0; v < V; ++v) row[v] = hn::LoadU(d, x + v * lanes);
    x += x_row;
    ask(l);
#pragma GCC unroll 24
    for (Index i = 0; i < R; ++i) {
      const Vector entry = hn::Set(d, static_cast<T>(a[i * a_row]));
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

template <Index V, class S, class T>
void Strip(const StripTask<S, T>& task) {
  constexpr Index R = kRows<V>, line = 64 / sizeof(S);
  const Index x_row = V * static_cast<Index>(hn::Lanes(hn::ScalableTag<T>()));
  for (Index i = 0; i < kSums; i += R) {
    const Ahead ahead = task.ahead.share(i / R, kSums / R);
    MicroKernel<V>(task.a + i * task.a_row, task.a_row, task.a_col, task.x, x_row, task.depth,
                   task.sums + i * task.pitch, task.pitch, [&](Index l) HWY_ATTR {
                     if (l % line == 0) ahead.ask<2>(l, 1);
                   });
  }
}

template <Index V, class T>
void Run(const RunTask<T>& task) {
  constexpr Index line = 64 / sizeof(T);
  const Index length = V * static_cast<Index>(hn::Lanes(hn::ScalableTag<T>()));
  const T* ahead = task.ahead;
  MicroKernel<V>(task.x, Index(1), task.x_row, task.a, task.lda, task.depth, task.sums, task.pitch,
                 [&](Index l) HWY_ATTR {
                   if (l >= task.rows_ahead) return;
                   for (Index i = 0; i < length; i += line) __builtin_prefetch(ahead + i, 0, 2);
                   ahead += task.lda;
                 });
}

template <class T>
void RunOf(Index vectors, const RunTask<T>& task) {
  switch (vectors) {
    case 1:
      return Run<1>(task);
    case 2:
      return Run<2>(task);
    case 3:
      return Run<3>(task);
    default:
      if constexpr (kMaxVectors >= 4) return Run<4>(task);
  }
}

void RunF32(Index vectors, const RunTask<float>& task) { RunOf(vectors, task); }
void RunF64(Index vectors, const RunTask<double>& task) { RunOf(vectors, task); }

template <class S, class T>
void StripOf(Index vectors, const StripTask<S, T>& task) {
  switch (vectors) {
    case 1:
      return Strip<1>(task);
    case 2:
      return Strip<2>(task);
    case 3:
      return Strip<3>(task);
    default:
      if constexpr (kMaxVectors >= 4) return Strip<4>(task);
  }
}

void StripF32(Index vectors, const StripTask<float, float>& task) { StripOf(vectors, task); }
void StripF64(Index vectors, const StripTask<double, double>& task) { StripOf(vectors, task); }
void StripMixed(Index vectors, const StripTask<double, float>& task) { StripOf(vectors, task); }

/// What a copy moves at once: vectors that entries of S and of T can both have, and that a strip is whole ones of.
template <class S, class T>
using CopyTag = hn::CappedTag<T, std::min<std::size_t>(kSums / 3, HWY_MAX_BYTES / std::max(sizeof(S), sizeof(T)))>;

template <class D, class S>
HWY_INLINE hn::Vec<D> LoadAs(D d, const S* from) {
  if constexpr (std::is_same_v<S, hn::TFromD<D>>)
    return hn::LoadU(d, from);
  else
    return hn::DemoteTo(d, hn::LoadU(hn::Rebind<S, D>(), from));
}

template <class S, class T>
HWY_INLINE void CopyRun(const S* HWY_RESTRICT from, Index n, T* HWY_RESTRICT to) {
  const CopyTag<S, T> d;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  Index i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(LoadAs(d, from + i), d, to + i);
  for (; i < n; ++i) to[i] = static_cast<T>(from[i]);
}

template <class S, class T>
void CopyInStrips(const S* HWY_RESTRICT from, Index n, T* HWY_RESTRICT to, Index pitch) {
  const Index whole = n / kSums * kSums;
  for (Index i = 0; i < whole; i += kSums, to += pitch) CopyRun(from + i, kSums, to);
  if (whole == n) return;
  CopyRun(from + whole, n - whole, to);
  std::fill(to + (n - whole), to + kSums, T(0));
}

void StripsFF(const float* from, Index n, float* to, Index pitch) { CopyInStrips(from, n, to, pitch); }
void StripsDD(const double* from, Index n, double* to, Index pitch) { CopyInStrips(from, n, to, pitch); }
void StripsDF(const double* from, Index n, float* to, Index pitch) { CopyInStrips(from, n, to, pitch); }

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
HWY_EXPORT(StripMixed);
HWY_EXPORT(StripsFF);
HWY_EXPORT(StripsDD);
HWY_EXPORT(StripsDF);
HWY_EXPORT(RunF32);
HWY_EXPORT(RunF64);
HWY_EXPORT(ShapeOf);

Shape shape() { return HWY_DYNAMIC_DISPATCH(ShapeOf)(); }

void multiply_strip(Index vectors, const StripTask<float, float>& task) {
  HWY_DYNAMIC_DISPATCH(StripF32)(vectors, task);
}
void multiply_strip(Index vectors, const StripTask<double, double>& task) {
  HWY_DYNAMIC_DISPATCH(StripF64)(vectors, task);
}
void multiply_strip(Index vectors, const StripTask<double, float>& task) {
  HWY_DYNAMIC_DISPATCH(StripMixed)(vectors, task);
}

void multiply_run(Index vectors, const RunTask<float>& task) { HWY_DYNAMIC_DISPATCH(RunF32)(vectors, task); }
void multiply_run(Index vectors, const RunTask<double>& task) { HWY_DYNAMIC_DISPATCH(RunF64)(vectors, task); }

void copy_in_strips(const float* from, Index n, float* to, Index pitch) {
  HWY_DYNAMIC_DISPATCH(StripsFF)(from, n, to, pitch);
}
void copy_in_strips(const double* from, Index n, double* to, Index pitch) {
  HWY_DYNAMIC_DISPATCH(StripsDD)(from, n, to, pitch);
}
void copy_in_strips(const double* from, Index n, float* to, Index pitch) {
  HWY_DYNAMIC_DISPATCH(StripsDF)(from, n, to, pitch);
}

}  // namespace lowrank::panel
#endif  // HWY_ONCE
