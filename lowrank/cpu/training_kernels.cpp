#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Size = std::size_t;

// Tiles fill 32 registers, or 16.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kSweepRows = 8, kForwardRows = 4, kForwardBatch = 5;
#else
constexpr int kSweepRows = 4, kForwardRows = 2, kForwardBatch = 5;
#endif

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

/// Calls body(part, i, n) for i = first, first + lanes, ...: n lanes from i on, part saying at compile time whether n
/// is fewer than all.
template <class Body>
HWY_INLINE void ForVectors(Size first, Size last, Size lanes, Body&& body) {
  Size i = first;
  for (; i + lanes <= last; i += lanes) body(std::false_type(), i, lanes);
  if (i < last) body(std::true_type(), i, last - i);
}

/// a/(√v·root + epsilon). For float on x86 the division and the root are estimates with one step of Newton's method,
/// within a few units of the last place: the exact instructions are slower than the memory. v = 0 counts as the
/// smallest normal number.
template <class D, class T>
HWY_INLINE hn::Vec<D> OverRoot(D d, hn::Vec<D> a, hn::Vec<D> v, T root, T epsilon) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  if constexpr (std::is_same_v<T, float>) {
    v = hn::Max(v, hn::Set(d, std::numeric_limits<float>::min()));
    auto y = hn::ApproximateReciprocalSqrt(v);
    const auto vy = hn::Mul(v, y), half = hn::Set(d, 0.5F);
    // √v = v·y·(1.5 - 0.5·v·y²).
    const auto square_root = hn::Mul(vy, hn::NegMulAdd(hn::Mul(vy, half), y, hn::Set(d, 1.5F)));
    const auto below = hn::MulAdd(square_root, hn::Set(d, root), hn::Set(d, epsilon));
    const auto z = hn::ApproximateReciprocal(below);
    return hn::Mul(a, hn::MulAdd(z, hn::NegMulAdd(below, z, hn::Set(d, 1.0F)), z));
  }
#endif
  return hn::Div(a, hn::MulAdd(hn::Sqrt(v), hn::Set(d, root), hn::Set(d, epsilon)));
}

/// The optimizer on one vector: moments and parameters are read, changed and written.
template <bool kPart, class D, class T>
HWY_INLINE void Follow(D d, hn::Vec<D> g, T* p, T* m, T* v, const Rule<T>& rule, Size n) {
  auto value = Load<kPart>(d, p, n);
  if (rule.adam) {
    auto first = Load<kPart>(d, m, n), second = Load<kPart>(d, v, n);
    first = hn::MulAdd(hn::Sub(g, first), hn::Set(d, rule.keep1), first);
    second = hn::MulAdd(hn::Mul(g, g), hn::Set(d, rule.keep2), hn::Mul(second, hn::Set(d, rule.beta2)));
    Store<kPart>(first, d, m, n);
    Store<kPart>(second, d, v, n);
    value = hn::NegMulAdd(hn::Set(d, rule.step), OverRoot(d, first, second, rule.root, rule.epsilon), value);
  } else {
    value = hn::NegMulAdd(hn::Set(d, rule.step), g, value);
  }
  Store<kPart>(value, d, p, n);
}

/// R rows of W against N rows of X: R·N sums over `in`, vectors run along it.
template <int R, int N, class T>
HWY_INLINE void ForwardTile(const Forward<T>& work, Size row, Size sample) {
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
  ForVectors(0, static_cast<Size>(work.in), hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    constexpr bool kPart = decltype(part)::value;
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
  for (int b = 0; b < N; ++b)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      T y = work.alpha * hn::GetLane(hn::SumOfLanes(d, sum[r][b]));
      if (work.bias != nullptr) y += work.bias[row + r];
      for (Index k = 0; k < work.rank; ++k)
        y += work.H[(static_cast<Index>(sample) + b) * work.ldh + k] *
             work.B[k * work.ldb + static_cast<Index>(row) + r];
      // Written so that a NaN stays one.
      work.Y[(static_cast<Index>(sample) + b) * work.ldy + static_cast<Index>(row) + r] =
          work.relu && y < T(0) ? T(0) : y;
    }
}

template <int R, class T>
HWY_INLINE void ForwardRows(const Forward<T>& work, Size row) {
  const Size batch = static_cast<Size>(work.batch);
  Size b = 0;
  for (; b + kForwardBatch <= batch; b += kForwardBatch) ForwardTile<R, kForwardBatch>(work, row, b);
  switch (batch - b) {
    case 4:
      return ForwardTile<R, 4>(work, row, b);
    case 3:
      return ForwardTile<R, 3>(work, row, b);
    case 2:
      return ForwardTile<R, 2>(work, row, b);
    case 1:
      return ForwardTile<R, 1>(work, row, b);
    default:
      return;
  }
}

template <class T>
HWY_INLINE void ForwardStrip(const Forward<T>& work) {
  const Size rows = static_cast<Size>(work.rows);
  Size row = 0;
  for (; row + kForwardRows <= rows; row += kForwardRows) ForwardRows<kForwardRows>(work, row);
  for (; row < rows; ++row) ForwardRows<1>(work, row);
}

/// R rows of W, one vector of columns. dy(b, r) at dy[b·row_block + r].
template <int R, bool kTrained, bool kSum, bool kPart, class D, class T>
HWY_INLINE void SweepTile(D d, const Sweep<T>& work, const T* HWY_RESTRICT dy, Size row, bool start, Size i, Size n) {
  using Vector = hn::Vec<D>;
  const Size ldw = static_cast<Size>(work.ldw), ldx = static_cast<Size>(work.ldx), lds = static_cast<Size>(work.lds);
  const Size at = row * ldw + i, batch = static_cast<Size>(work.batch);
  const T* HWY_RESTRICT X = work.X + i;
  T* HWY_RESTRICT sums = work.sum + i;
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
      Follow<kPart>(d, g[r], work.W + p, work.m + p, work.v + p, work.rule, n);
    }
  }
}

template <int R, bool kTrained, bool kSum, class T>
HWY_INLINE void SweepRows(const Sweep<T>& work, Size row, bool start) {
  const hn::ScalableTag<T> d;
  const T* dy = work.dY + row / row_block * row_block * static_cast<Size>(work.batch) + row % row_block;
  ForVectors(static_cast<Size>(work.first), static_cast<Size>(work.last), hn::Lanes(d),
             [&](auto part, Size i, Size n)
                 HWY_ATTR { SweepTile<R, kTrained, kSum, decltype(part)::value>(d, work, dy, row, start, i, n); });
}

template <bool kTrained, bool kSum, class T>
HWY_INLINE void SweepStrip(const Sweep<T>& work) {
  const Size rows = static_cast<Size>(work.rows);
  Size row = 0;
  for (; row + kSweepRows <= rows; row += kSweepRows) SweepRows<kSweepRows, kTrained, kSum>(work, row, row == 0);
  for (; row < rows; ++row) SweepRows<1, kTrained, kSum>(work, row, row == 0);
}

template <class T>
HWY_INLINE void SweepOf(const Sweep<T>& work) {
  if (work.W != nullptr && work.sum != nullptr) return SweepStrip<true, true>(work);
  if (work.W != nullptr) return SweepStrip<true, false>(work);
  SweepStrip<false, true>(work);
}

template <class T>
HWY_INLINE void BiasStrip(const T* dY, Index lddy, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule) {
  const hn::ScalableTag<T> d;
  ForVectors(0, static_cast<Size>(rows), hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    constexpr bool kPart = decltype(part)::value;
    auto g = hn::Zero(d);
    for (Index s = 0; s < batch; ++s) g = hn::Add(g, Load<kPart>(d, dY + s * lddy + static_cast<Index>(i), n));
    Follow<kPart>(d, g, b + i, m + i, v + i, rule, n);
  });
}

template <class T>
HWY_INLINE void FollowStrip(const T* gradient, Index count, T* p, T* m, T* v, const Rule<T>& rule) {
  const hn::ScalableTag<T> d;
  ForVectors(0, static_cast<Size>(count), hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    constexpr bool kPart = decltype(part)::value;
    Follow<kPart>(d, Load<kPart>(d, gradient + i, n), p + i, m + i, v + i, rule, n);
  });
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
  void Forward##S(const Forward<T>& work) { ForwardStrip(work); }                                                     \
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
  HWY_EXPORT(Forward##S);                                                                                          \
  HWY_EXPORT(Sweep##S);                                                                                            \
  HWY_EXPORT(Bias##S);                                                                                             \
  HWY_EXPORT(Follow##S);                                                                                           \
  HWY_EXPORT(Reduce##S);                                                                                           \
  template <>                                                                                                      \
  void forward(const Forward<T>& work) {                                                                           \
    HWY_DYNAMIC_DISPATCH(Forward##S)(work);                                                                        \
  }                                                                                                                \
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
