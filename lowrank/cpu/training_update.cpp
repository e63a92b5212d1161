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

/// The samples in which a row has a gradient.
template <class T>
struct Samples {
  Size count = 0;
  T dY[most_samples];
  const T* X[most_samples];

  HWY_INLINE void add(T dy, const T* x) {
    dY[count] = dy;
    X[count] = x;
    count += dy != 0 ? 1 : 0;  // A NaN is not zero.
  }
};

/// A row's gradient, and the optimizer on it: V vectors of columns at a time, so that sums of few samples do not wait
/// for one another.
template <Size V, bool kAdam, bool kPart, class D, class T>
HWY_INLINE void UpdateTile(D d, const Update<T>& work, const RuleVectors<D>& rule, const Samples<T>& samples, Size at,
                           Size i, Size n) {
  const Size lanes = hn::Lanes(d);
  hn::Vec<D> g[V];
#pragma GCC unroll 4
  for (Size v = 0; v < V; ++v) g[v] = hn::Zero(d);
  for (Size k = 0; k < samples.count; ++k) {
    const auto e = hn::Set(d, samples.dY[k]);
    const T* HWY_RESTRICT x = samples.X[k] + i;
#pragma GCC unroll 4
    for (Size v = 0; v < V; ++v) g[v] = hn::MulAdd(e, Load<kPart>(d, x + v * lanes, n), g[v]);
  }
  T *W = work.W + at + i, *m = work.m + at + i, *v2 = work.v + at + i;
#pragma GCC unroll 4
  for (Size v = 0; v < V; ++v) Follow<kAdam, kPart>(d, g[v], W + v * lanes, m + v * lanes, v2 + v * lanes, rule, n);
}

template <bool kAdam, class T>
HWY_INLINE void UpdateStrip(const Update<T>& work) {
  const hn::ScalableTag<T> d;
  const RuleVectors<hn::ScalableTag<T>> rule(d, work.rule);
  const Size lanes = hn::Lanes(d), cols = static_cast<Size>(work.cols), ldw = static_cast<Size>(work.ldw);
  for (Index row = 0; row < work.rows; ++row) {
    Samples<T> samples;
    for (Index b = 0; b < work.batch; ++b) samples.add(work.dY[b * work.lddy + row], work.X + b * work.ldx);
    const Size at = static_cast<Size>(row) * ldw;
    Size i = 0;
    for (; i + 4 * lanes <= cols; i += 4 * lanes) UpdateTile<4, kAdam, false>(d, work, rule, samples, at, i, lanes);
    ForVectors(i, cols, lanes, [&](auto part, Size j, Size n) HWY_ATTR {
      UpdateTile<1, kAdam, decltype(part)::value>(d, work, rule, samples, at, j, n);
    });
  }
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

// What is exported cannot be a template.
#define LOWRANK_KERNELS(S, T)                                                                           \
  void Update##S(const Update<T>& work) {                                                               \
    return work.rule.adam ? UpdateStrip<true>(work) : UpdateStrip<false>(work);                         \
  }                                                                                                     \
  void Bias##S(const T* dY, Index ld, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule) { \
    BiasStrip(dY, ld, batch, rows, b, m, v, rule);                                                      \
  }                                                                                                     \
  void Follow##S(const T* g, Index n, T* p, T* m, T* v, const Rule<T>& rule) { FollowStrip(g, n, p, m, v, rule); }
LOWRANK_KERNELS(F32, float)
LOWRANK_KERNELS(F64, double)
#undef LOWRANK_KERNELS

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::kernels {

#define LOWRANK_DISPATCH(S, T)                                                                       \
  HWY_EXPORT(Update##S);                                                                             \
  HWY_EXPORT(Bias##S);                                                                               \
  HWY_EXPORT(Follow##S);                                                                             \
  template <>                                                                                        \
  void update(const Update<T>& work) {                                                               \
    HWY_DYNAMIC_DISPATCH(Update##S)(work);                                                           \
  }                                                                                                  \
  template <>                                                                                        \
  void bias(const T* dY, Index ld, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule) { \
    HWY_DYNAMIC_DISPATCH(Bias##S)(dY, ld, batch, rows, b, m, v, rule);                               \
  }                                                                                                  \
  template <>                                                                                        \
  void follow(const T* g, Index n, T* p, T* m, T* v, const Rule<T>& rule) {                          \
    HWY_DYNAMIC_DISPATCH(Follow##S)(g, n, p, m, v, rule);                                            \
  }
LOWRANK_DISPATCH(F32, float)
LOWRANK_DISPATCH(F64, double)
#undef LOWRANK_DISPATCH

}  // namespace lowrank::kernels
#endif  // HWY_ONCE
