// Vectors with a last one that is not full, for the training kernels. Included once for each instruction set.
#if defined(LOWRANK_TRAINING_VECTORS) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWRANK_TRAINING_VECTORS
#undef LOWRANK_TRAINING_VECTORS
#else
#define LOWRANK_TRAINING_VECTORS
#endif

#include <hwy/highway.h>

#include <cstring>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Size = std::size_t;

/// The first n lanes; the others are zero. With n = Lanes(d) a plain load.
template <bool kPart, class D, class T>
HWY_INLINE hn::Vec<D> Load(D d, const T* p, Size n) {
  if constexpr (!kPart) {
    return hn::LoadU(d, p);
  } else {
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
    return hn::MaskedLoad(hn::FirstN(d, n), d, p);
#else
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)] = {};
    std::memcpy(lanes, p, n * sizeof(T));
    return hn::Load(d, lanes);
#endif
  }
}

template <bool kPart, class D, class T>
HWY_INLINE void Store(hn::Vec<D> value, D d, T* p, Size n) {
  if constexpr (!kPart) {
    hn::StoreU(value, d, p);
  } else {
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
    hn::BlendedStore(value, hn::FirstN(d, n), d, p);
#else
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(value, d, lanes);
    std::memcpy(p, lanes, n * sizeof(T));
#endif
  }
}

/// Asks for V vectors from p on, into the second-level cache.
template <Size V, class D, class T>
HWY_INLINE void AskFor([[maybe_unused]] D d, const T* p) {
  constexpr Size kLines = (V * hn::MaxLanes(D()) * sizeof(T) + 63) / 64;
  for (Size line = 0; line < kLines; ++line) __builtin_prefetch(p + line * (64 / sizeof(T)), 0, 2);
}

/// Calls body(part, i, n) for i = first, first + lanes, ...: n lanes from i on, part saying at compile time whether n
/// is fewer than all.
template <class Body>
HWY_INLINE void ForVectors(Size first, Size last, Size lanes, Body&& body) {
  Size i = first;
  for (; i + lanes <= last; i += lanes) body(std::false_type(), i, lanes);
  if (i < last) body(std::true_type(), i, last - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::kernels
HWY_AFTER_NAMESPACE();

#endif
