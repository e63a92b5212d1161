#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_update.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <lowrank/cpu/training_vectors-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// A rule's numbers in vectors, held in registers over a sweep.
template <class D>
struct RuleVectors {
  using Vector = hn::Vec<D>;
  Vector keep1, keep2, beta2, step, root, epsilon;

  template <class T>
  HWY_INLINE RuleVectors(D d, const Rule<T>& rule)
      : keep1(hn::Set(d, rule.keep1)),
        keep2(hn::Set(d, rule.keep2)),
        beta2(hn::Set(d, rule.beta2)),
        step(hn::Set(d, rule.step)),
        root(hn::Set(d, rule.root)),
        epsilon(hn::Set(d, rule.epsilon)) {}
};

/// a/(√v·root + epsilon). For float on x86 the division and the root are estimates with one step of Newton's method,
/// within a few units of the last place: the exact instructions are slower than the memory. v = 0 counts as the
/// smallest normal number.
template <class D>
HWY_INLINE hn::Vec<D> OverRoot([[maybe_unused]] D d, hn::Vec<D> a, hn::Vec<D> v, const RuleVectors<D>& rule) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  if constexpr (std::is_same_v<hn::TFromD<D>, float>) {
    v = hn::Max(v, hn::Set(d, std::numeric_limits<float>::min()));
    auto y = hn::ApproximateReciprocalSqrt(v);
    const auto vy = hn::Mul(v, y), half = hn::Set(d, 0.5F);
    // √v = v·y·(1.5 - 0.5·v·y²).
    const auto square_root = hn::Mul(vy, hn::NegMulAdd(hn::Mul(vy, half), y, hn::Set(d, 1.5F)));
    const auto below = hn::MulAdd(square_root, rule.root, rule.epsilon);
    const auto z = hn::ApproximateReciprocal(below);
    return hn::Mul(a, hn::MulAdd(z, hn::NegMulAdd(below, z, hn::Set(d, 1.0F)), z));
  }
#endif
  return hn::Div(a, hn::MulAdd(hn::Sqrt(v), rule.root, rule.epsilon));
}

/// The optimizer on one vector: moments and parameters are read, changed and written.
template <bool kAdam, bool kPart, class D, class T>
HWY_INLINE void Follow(D d, hn::Vec<D> g, T* HWY_RESTRICT p, T* HWY_RESTRICT m, T* HWY_RESTRICT v,
                       const RuleVectors<D>& rule, Size n) {
  auto value = Load<kPart>(d, p, n);
  if constexpr (kAdam) {
    auto first = Load<kPart>(d, m, n), second = Load<kPart>(d, v, n);
    first = hn::MulAdd(hn::Sub(g, first), rule.keep1, first);
    second = hn::MulAdd(hn::Mul(g, g), rule.keep2, hn::Mul(second, rule.beta2));
    Store<kPart>(first, d, m, n);
    Store<kPart>(second, d, v, n);
    value = hn::NegMulAdd(rule.step, OverRoot(d, first, second, rule), value);
  } else {
    value = hn::NegMulAdd(rule.step, g, value);
  }
  Store<kPart>(value, d, p, n);
}

/// `count` entries by the rule; gradient(part, i, n) gives the vector of n from i on.
template <bool kAdam, class T, class Gradient>
HWY_INLINE void FollowAll(Size count, T* p, T* m, T* v, const Rule<T>& rule, Gradient&& gradient) {
  const hn::ScalableTag<T> d;
  const RuleVectors<hn::ScalableTag<T>> numbers(d, rule);
  ForVectors(0, count, hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    Follow<kAdam, decltype(part)::value>(d, gradient(part, i, n), p + i, m + i, v + i, numbers, n);
  });
}

/// What a sweep does to W.
enum class Moved { nothing, by_sgd, by_adam };

/// R rows of W, one vector of columns. dy(b, r) at dy[b·row_block + r].
template <int R, Moved kMoved, bool kSum, bool kPart, class D, class T>
HWY_INLINE void SweepTile(D d, const Sweep<T>& work, const RuleVectors<D>& rule, const T* HWY_RESTRICT dy, Size row,
                          bool start, Size i, Size n) {
  constexpr bool kTrained = kMoved != Moved::nothing;
  using Vector = hn::Vec<D>;
  const Size ldw = static_cast<Size>(work.ldw), ldx = static_cast<Size>(work.ldx), lds = static_cast<Size>(work.lds);
  const Size at = row * ldw + i, batch = static_cast<Size>(work.batch);
  const T* HWY_RESTRICT X = work.X + i;
  T* HWY_RESTRICT sums = work.sum + i;
  T *W = work.W, *m = work.m, *v = work.v;
  Vector w[R], g[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    if constexpr (kSum) w[r] = Load<kPart>(d, work.frozen + at + r * ldw, n);
    if constexpr (kTrained) g[r] = hn::Zero(d);
  }
  for (Size b = 0; b < batch; ++b, X += ldx, sums += lds, dy += row_block) {
    Vector x, sum;
    if constexpr (kTrained) x = Load<kPart>(d, X, n);
    if constexpr (kSum) sum = start ? hn::Zero(d) : Load<kPart>(d, sums, n);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vector e = hn::Set(d, dy[r]);
      if constexpr (kTrained) g[r] = hn::MulAdd(e, x, g[r]);
      if constexpr (kSum) sum = hn::MulAdd(e, w[r], sum);
    }
    if constexpr (kSum) Store<kPart>(sum, d, sums, n);
  }
  if constexpr (kTrained) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Size p = at + r * ldw;
      Follow<kMoved == Moved::by_adam, kPart>(d, g[r], W + p, m + p, v + p, rule, n);
    }
  }
}

template <int R, Moved kMoved, bool kSum, class D, class T>
HWY_INLINE void SweepRows(D d, const Sweep<T>& work, const RuleVectors<D>& rule, Size row, bool start) {
  const T* dy = work.dY + row / row_block * row_block * static_cast<Size>(work.batch) + row % row_block;
  ForVectors(static_cast<Size>(work.first), static_cast<Size>(work.last), hn::Lanes(d),
             [&](auto part, Size i, Size n)
                 HWY_ATTR { SweepTile<R, kMoved, kSum, decltype(part)::value>(d, work, rule, dy, row, start, i, n); });
}

template <Moved kMoved, bool kSum, class T>
HWY_INLINE void SweepStrip(const Sweep<T>& work) {
  const hn::ScalableTag<T> d;
  const RuleVectors<hn::ScalableTag<T>> rule(d, work.rule);
  const Size rows = static_cast<Size>(work.rows);
  Size row = 0;
  for (; row + kSweepRows <= rows; row += kSweepRows) SweepRows<kSweepRows, kMoved, kSum>(d, work, rule, row, row == 0);
  for (; row < rows; ++row) SweepRows<1, kMoved, kSum>(d, work, rule, row, row == 0);
}

/// V vectors of columns of N samples' sums over all rows of a frozen W.
template <int N, int V, bool kPart, class D, class T>
HWY_INLINE void SumTile(D d, const Sweep<T>& work, Size sample, Size i, Size n) {
  using Vector = hn::Vec<D>;
  const Size lanes = hn::Lanes(d), ldw = static_cast<Size>(work.ldw), rows = static_cast<Size>(work.rows);
  const Size block = row_block * static_cast<Size>(work.batch);
  const T* HWY_RESTRICT w = work.frozen + i;
  const T* HWY_RESTRICT dy = work.dY + sample * row_block;
  const T* ahead = w + (V + (sample > 0 ? V / 2 : 0)) * lanes;
  Vector sum[N][V];
#pragma GCC unroll 8
  for (int b = 0; b < N; ++b)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[b][v] = hn::Zero(d);
  for (Size row = 0; row < rows; dy += block)
    for (Size in_block = 0; in_block < row_block && row < rows; ++in_block, ++row, w += ldw) {
      Vector column[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) column[v] = Load<kPart>(d, w + v * lanes, n);
      if (sample <= kForwardBatch)
#pragma GCC unroll 8
        for (int v = 0; v < V / 2; ++v) __builtin_prefetch(ahead + v * lanes, 0, 2);
      ahead += ldw;
#pragma GCC unroll 8
      for (int b = 0; b < N; ++b) {
        const Vector e = hn::Set(d, dy[b * row_block + in_block]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[b][v] = hn::MulAdd(e, column[v], sum[b][v]);
      }
    }
  T* to = work.sum + sample * static_cast<Size>(work.lds) + i;
#pragma GCC unroll 8
  for (int b = 0; b < N; ++b, to += work.lds)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) Store<kPart>(sum[b][v], d, to + v * lanes, n);
}

/// All samples, kForwardBatch at a time.
template <int V, bool kPart, class D, class T>
HWY_INLINE void SumColumns(D d, const Sweep<T>& work, Size i, Size n) {
  const Size batch = static_cast<Size>(work.batch);
  Size b = 0;
  for (; b + kForwardBatch <= batch; b += kForwardBatch) SumTile<kForwardBatch, V, kPart>(d, work, b, i, n);
  for (; b < batch; ++b) SumTile<1, V, kPart>(d, work, b, i, n);
}

template <class T>
HWY_INLINE void SumStrip(const Sweep<T>& work) {
  const hn::ScalableTag<T> d;
  const Size lanes = hn::Lanes(d), last = static_cast<Size>(work.last);
  Size i = static_cast<Size>(work.first);
  for (; i + kSumVectors * lanes <= last; i += kSumVectors * lanes) SumColumns<kSumVectors, false>(d, work, i, lanes);
  ForVectors(i, last, lanes,
             [&](auto part, Size at, Size n) HWY_ATTR { SumColumns<1, decltype(part)::value>(d, work, at, n); });
}

template <class T>
HWY_INLINE void SweepOf(const Sweep<T>& work) {
  if (work.W == nullptr) return SumStrip(work);
  if (work.rule.adam)
    return work.sum != nullptr ? SweepStrip<Moved::by_adam, true>(work) : SweepStrip<Moved::by_adam, false>(work);
  return work.sum != nullptr ? SweepStrip<Moved::by_sgd, true>(work) : SweepStrip<Moved::by_sgd, false>(work);
}

template <class T>
HWY_INLINE void BiasStrip(const T* dY, Index lddy, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule) {
  const hn::ScalableTag<T> d;
  const auto gradient = [&](auto part, Size i, Size n) HWY_ATTR {
    auto g = hn::Zero(d);
    for (Index s = 0; s < batch; ++s)
      g = hn::Add(g, Load<decltype(part)::value>(d, dY + s * lddy + static_cast<Index>(i), n));
    return g;
  };
  if (rule.adam) return FollowAll<true>(static_cast<Size>(rows), b, m, v, rule, gradient);
  FollowAll<false>(static_cast<Size>(rows), b, m, v, rule, gradient);
}

template <class T>
HWY_INLINE void FollowStrip(const T* from, Index count, T* p, T* m, T* v, const Rule<T>& rule) {
  const hn::ScalableTag<T> d;
  const auto gradient = [&](auto part, Size i, Size n) HWY_ATTR { return Load<decltype(part)::value>(d, from + i, n); };
  if (rule.adam) return FollowAll<true>(static_cast<Size>(count), p, m, v, rule, gradient);
  FollowAll<false>(static_cast<Size>(count), p, m, v, rule, gradient);
}

template <class T>
HWY_INLINE void ReduceRow(const T* parts, Index stride, Index count_parts, const T* h, const T* A, Index lda,
                          Index rank, const T* mask, Index count, T* to) {
  const hn::ScalableTag<T> d;
  ForVectors(0, static_cast<Size>(count), hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    constexpr bool kPart = decltype(part)::value;
    const Index at = static_cast<Index>(i);
    auto sum = hn::Zero(d);
    for (Index s = 0; s < count_parts; ++s) sum = hn::Add(sum, Load<kPart>(d, parts + s * stride + at, n));
    for (Index k = 0; k < rank; ++k) sum = hn::MulAdd(hn::Set(d, h[k]), Load<kPart>(d, A + k * lda + at, n), sum);
    if (mask != nullptr) sum = hn::IfThenElseZero(hn::Gt(Load<kPart>(d, mask + at, n), hn::Zero(d)), sum);
    Store<kPart>(sum, d, to + i, n);
  });
}

// What is exported cannot be a template.
#define LOWRANK_KERNELS(S, T)                                                                                         \
  void Sweep##S(const Sweep<T>& work) { SweepOf(work); }                                                              \
  void Bias##S(const T* dY, Index ld, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule) {               \
    BiasStrip(dY, ld, batch, rows, b, m, v, rule);                                                                    \
  }                                                                                                                   \
  void Follow##S(const T* g, Index n, T* p, T* m, T* v, const Rule<T>& rule) { FollowStrip(g, n, p, m, v, rule); }    \
  void Reduce##S(const T* parts, Index stride, Index n, const T* h, const T* A, Index lda, Index rank, const T* mask, \
                 Index count, T* to) {                                                                                \
    ReduceRow(parts, stride, n, h, A, lda, rank, mask, count, to);                                                    \
  }
LOWRANK_KERNELS(F32, float)
LOWRANK_KERNELS(F64, double)
#undef LOWRANK_KERNELS

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::kernels {

template <Real T>
void pack_gradient(const T* dY, Index lddy, Index batch, Index rows, T* packed) {
  for (Index i = 0; i < rows; i += row_block) {
    const Index real = std::min(row_block, rows - i);
    for (Index b = 0; b < batch; ++b, packed += row_block) {
      std::copy_n(dY + b * lddy + i, real, packed);
      std::fill(packed + real, packed + row_block, T(0));
    }
  }
}
template void pack_gradient(const float*, Index, Index, Index, float*);
template void pack_gradient(const double*, Index, Index, Index, double*);

#define LOWRANK_DISPATCH(S, T)                                                                                     \
  HWY_EXPORT(Sweep##S);                                                                                            \
  HWY_EXPORT(Bias##S);                                                                                             \
  HWY_EXPORT(Follow##S);                                                                                           \
  HWY_EXPORT(Reduce##S);                                                                                           \
  template <>                                                                                                      \
  void sweep(const Sweep<T>& work) {                                                                               \
    HWY_DYNAMIC_DISPATCH(Sweep##S)(work);                                                                          \
  }                                                                                                                \
  template <>                                                                                                      \
  void bias(const T* dY, Index ld, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule) {               \
    HWY_DYNAMIC_DISPATCH(Bias##S)(dY, ld, batch, rows, b, m, v, rule);                                             \
  }                                                                                                                \
  template <>                                                                                                      \
  void follow(const T* g, Index n, T* p, T* m, T* v, const Rule<T>& rule) {                                        \
    HWY_DYNAMIC_DISPATCH(Follow##S)(g, n, p, m, v, rule);                                                          \
  }                                                                                                                \
  template <>                                                                                                      \
  void reduce(const T* parts, Index stride, Index n, const T* h, const T* A, Index lda, Index rank, const T* mask, \
              Index count, T* to) {                                                                                \
    HWY_DYNAMIC_DISPATCH(Reduce##S)(parts, stride, n, h, A, lda, rank, mask, count, to);                           \
  }
LOWRANK_DISPATCH(F32, float)
LOWRANK_DISPATCH(F64, double)
#undef LOWRANK_DISPATCH

}  // namespace lowrank::kernels
#endif  // HWY_ONCE
