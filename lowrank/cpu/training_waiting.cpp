#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_waiting.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <lowrank/cpu/training_rule-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// V vectors of columns from `at` on by all steps, in registers.
template <Size V, bool kPart, class D, class T>
HWY_INLINE void WaitingTile(D d, const Waiting<T>& work, Size at, Size n) {
  using Vector = hn::Vec<D>;
  const Size lanes = hn::Lanes(d);
  for (const T* each : {work.p, work.m, work.v}) AskFor<V>(d, each + work.ahead + at);
  Vector value[V], first[V], second[V];
#pragma GCC unroll 4
  for (Size k = 0; k < V; ++k) {
    value[k] = Load<kPart>(d, work.p + at + k * lanes, n);
    first[k] = Load<kPart>(d, work.m + at + k * lanes, n);
    second[k] = Load<kPart>(d, work.v + at + k * lanes, n);
  }
  // Adam() with g = 0, the same to the bit.
  const auto decay = [&](const RuleVectors<D>& rule, Size k) HWY_ATTR {
    first[k] = hn::NegMulAdd(first[k], rule.keep1, first[k]);
    second[k] = hn::Mul(second[k], rule.beta2);
  };
  Index s = 0;
  for (bool moves = true; moves && s < work.steps; ++s) {
    const RuleVectors<D> rule(d, work.rules[s]);
    Vector before[V];
#pragma GCC unroll 4
    for (Size k = 0; k < V; ++k) {
      decay(rule, k);
      before[k] = value[k];
      value[k] = hn::NegMulAdd(rule.step, OverRoot(d, first[k], second[k], rule), value[k]);
    }
    if (!work.shrinks || s % 16 != 0) continue;
    auto same = hn::Eq(before[0], value[0]);
#pragma GCC unroll 4
    for (Size k = 1; k < V; ++k) same = hn::And(same, hn::Eq(before[k], value[k]));
    moves = !hn::AllTrue(d, same);
  }
  const RuleVectors<D> rule(d, work.rules[0]);
  for (; s < work.steps; ++s)
#pragma GCC unroll 4
    for (Size k = 0; k < V; ++k) decay(rule, k);
#pragma GCC unroll 4
  for (Size k = 0; k < V; ++k) {
    Store<kPart>(value[k], d, work.p + at + k * lanes, n);
    Store<kPart>(first[k], d, work.m + at + k * lanes, n);
    Store<kPart>(second[k], d, work.v + at + k * lanes, n);
  }
}

template <class T>
HWY_INLINE void WaitingStrip(const Waiting<T>& work) {
  const hn::ScalableTag<T> d;
  const Size lanes = hn::Lanes(d), count = static_cast<Size>(work.count);
  Size i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) WaitingTile<4, false>(d, work, i, lanes);
  ForVectors(i, count, lanes,
             [&](auto part, Size at, Size n) HWY_ATTR { WaitingTile<1, decltype(part)::value>(d, work, at, n); });
}

// What is exported cannot be a template.
void WaitingF32(const Waiting<float>& work) { WaitingStrip(work); }
void WaitingF64(const Waiting<double>& work) { WaitingStrip(work); }

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank::kernels {

HWY_EXPORT(WaitingF32);
HWY_EXPORT(WaitingF64);

template <>
void catch_up(const Waiting<float>& work) {
  HWY_DYNAMIC_DISPATCH(WaitingF32)(work);
}
template <>
void catch_up(const Waiting<double>& work) {
  HWY_DYNAMIC_DISPATCH(WaitingF64)(work);
}

}  // namespace lowrank::kernels
#endif  // HWY_ONCE
