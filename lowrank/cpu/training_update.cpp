#include <lowrank/cpu/training_kernels.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/training_update.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <algorithm>
#include <lowrank/cpu/training_rule-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace lowrank::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// `count` entries by the rule; gradient(part, i, n) gives the vector of n from i on.
template <bool kAdam, class T, class Gradient>
HWY_INLINE void FollowAll(Size count, T* p, T* m, T* v, const Rule<T>& rule, Gradient&& gradient) {
  const hn::ScalableTag<T> d;
  const RuleVectors<hn::ScalableTag<T>> numbers(d, rule);
  ForVectors(0, count, hn::Lanes(d), [&](auto part, Size i, Size n) HWY_ATTR {
    Follow<kAdam, decltype(part)::value>(d, gradient(part, i, n), p + i, m + i, v + i, numbers, n);
  });
}

/// The samples of a piece of the batch in which a row has a gradient.
template <class T>
struct Samples {
  Size count = 0;
  T dY[most_updating];
  const T* X[most_updating];

  HWY_INLINE void find(const Update<T>& work, Index row, Index first, Index last) {
    count = 0;
    for (Index b = first; b < last; ++b) {
      const T dy = work.dY[b * work.lddy + row];
      dY[count] = dy;
      X[count] = work.X + b * work.ldx;
      count += dy != 0 ? 1 : 0;  // A NaN is not zero.
    }
  }
};

/// A row's gradient summed over a piece of the batch: V vectors of columns at a time, so that sums of few samples do
/// not wait for one another. The sums of the pieces before are in `sums`; after the last piece the optimizer follows
/// them. What lies `ahead` is asked for: the processor's own foresight is taken up by the rows of X.
template <Size V, bool kAdam, bool kPart, class D, class T>
HWY_INLINE void UpdateTile(D d, const Update<T>& work, const RuleVectors<D>& rule, const Samples<T>& samples,
                           T* HWY_RESTRICT sums, bool first, bool last, Size at, Size ahead, Size i, Size n) {
  const Size lanes = hn::Lanes(d);
  if (ahead > 0) {
    AskFor<V>(d, work.W + at + ahead + i);
    if constexpr (kAdam) {
      AskFor<V>(d, work.m + at + ahead + i);
      AskFor<V>(d, work.v + at + ahead + i);
    }
  }
  hn::Vec<D> g[V];
#pragma GCC unroll 4
  for (Size v = 0; v < V; ++v) g[v] = first ? hn::Zero(d) : Load<kPart>(d, sums + i + v * lanes, n);
  for (Size k = 0; k < samples.count; ++k) {
    const auto e = hn::Set(d, samples.dY[k]);
    const T* HWY_RESTRICT x = samples.X[k] + i;
#pragma GCC unroll 4
    for (Size v = 0; v < V; ++v) g[v] = hn::MulAdd(e, Load<kPart>(d, x + v * lanes, n), g[v]);
  }
  if (!last) {
#pragma GCC unroll 4
    for (Size v = 0; v < V; ++v) Store<kPart>(g[v], d, sums + i + v * lanes, n);
    return;
  }
  T *W = work.W + at + i, *m = work.m + at + i, *v2 = work.v + at + i;
#pragma GCC unroll 4
  for (Size v = 0; v < V; ++v) Follow<kAdam, kPart>(d, g[v], W + v * lanes, m + v * lanes, v2 + v * lanes, rule, n);
}

/// The columns [begin, end) of one row.
template <bool kAdam, class D, class T>
HWY_INLINE void UpdateRow(D d, const Update<T>& work, const RuleVectors<D>& rule, const Samples<T>& samples, T* sums,
                          bool first, bool last, Size at, Size ahead, Size begin, Size end) {
  const Size lanes = hn::Lanes(d);
  Size i = begin;
  for (; i + 4 * lanes <= end; i += 4 * lanes)
    UpdateTile<4, kAdam, false>(d, work, rule, samples, sums, first, last, at, ahead, i, lanes);
  ForVectors(i, end, lanes, [&](auto part, Size j, Size n) HWY_ATTR {
    UpdateTile<1, kAdam, decltype(part)::value>(d, work, rule, samples, sums, first, last, at, ahead, j, n);
  });
}

/// Whether a row without a gradient in all of the batch is left as it is: SGD would not change it, Adam's update can
/// wait.
template <bool kAdam, class T>
HWY_INLINE bool Waits(const Update<T>& work, Index row) {
  if (work.batch > most_updating) return false;
  if (!kAdam) return true;
  if (work.owed_since == nullptr) return false;
  if (work.owed_since[row] < 0) work.owed_since[row] = work.step;
  return true;
}

template <bool kAdam, class T>
HWY_INLINE void UpdateStrip(const Update<T>& work) {
  const hn::ScalableTag<T> d;
  const RuleVectors<hn::ScalableTag<T>> rule(d, work.rule);
  const Size cols = static_cast<Size>(work.cols), ldw = static_cast<Size>(work.ldw);
  // With few samples W, m and v are what there is to read, and that goes fastest along whole rows. With many it is X:
  // then a few of its columns stay in the first cache for all rows.
  const Size width = work.batch <= 16 ? std::max<Size>(1, cols) : 4 * hn::Lanes(d);
  Samples<T> samples[most_updated_rows];
  T sums[most_updated_rows][most_updated_cols];
  for (Index from = 0; from == 0 || from < work.batch; from += most_updating) {
    const Index to = std::min(work.batch, from + most_updating);
    for (Index row = 0; row < work.rows; ++row) samples[row].find(work, row, from, to);
    // Where rows are swept whole, the next one that is changed.
    const auto ahead = [&](Index row) HWY_ATTR -> Size {
      Index next = row + 1;
      while (next < work.rows && samples[next].count == 0 && work.owed_since != nullptr) ++next;
      return width < cols || (next == work.rows && !work.more) ? 0 : static_cast<Size>(next - row) * ldw;
    };
    for (Size i = 0; i < cols; i += width)
      for (Index row = 0; row < work.rows; ++row) {
        if (samples[row].count == 0 && Waits<kAdam>(work, row)) continue;
        UpdateRow<kAdam>(d, work, rule, samples[row], sums[row], from == 0, to == work.batch,
                         static_cast<Size>(row) * ldw, ahead(row), i, std::min(cols, i + width));
      }
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
