// The optimizer's rule on vectors, for the training kernels. Included once for each instruction set.
#if defined(LOWRANK_TRAINING_RULE) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWRANK_TRAINING_RULE
#undef LOWRANK_TRAINING_RULE
#else
#define LOWRANK_TRAINING_RULE
#endif

#include <hwy/highway.h>

#include <limits>
#include <lowrank/cpu/training_kernels.hpp>
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

/// a/(√v·root + epsilon). For float with AVX-512 the division and the root are estimates with one step of Newton's
/// method, within a few units of the last place: the exact instructions are slower than the memory. v = 0 counts as the
/// smallest normal number. With AVX2 the exact ones are the faster: 3.1 against 4.4 ns for 8 entries and five samples.
template <class D>
HWY_INLINE hn::Vec<D> OverRoot([[maybe_unused]] D d, hn::Vec<D> a, hn::Vec<D> v, const RuleVectors<D>& rule) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
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

/// Adam on one vector in registers.
template <class D>
HWY_INLINE void Adam(D d, hn::Vec<D> g, hn::Vec<D>& value, hn::Vec<D>& first, hn::Vec<D>& second,
                     const RuleVectors<D>& rule) {
  first = hn::MulAdd(hn::Sub(g, first), rule.keep1, first);
  second = hn::MulAdd(hn::Mul(g, g), rule.keep2, hn::Mul(second, rule.beta2));
  value = hn::NegMulAdd(rule.step, OverRoot(d, first, second, rule), value);
}

/// The optimizer on one vector: moments and parameters are read, changed and written.
template <bool kAdam, bool kPart, class D, class T>
HWY_INLINE void Follow(D d, hn::Vec<D> g, T* HWY_RESTRICT p, T* HWY_RESTRICT m, T* HWY_RESTRICT v,
                       const RuleVectors<D>& rule, Size n) {
  auto value = Load<kPart>(d, p, n);
  if constexpr (kAdam) {
    auto first = Load<kPart>(d, m, n), second = Load<kPart>(d, v, n);
    Adam(d, g, value, first, second, rule);
    Store<kPart>(first, d, m, n);
    Store<kPart>(second, d, v, n);
  } else {
    value = hn::NegMulAdd(rule.step, g, value);
  }
  Store<kPart>(value, d, p, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#endif
