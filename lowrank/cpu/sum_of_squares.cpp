#include <hwy/cache_control.h>

#include <lowrank/cpu/sum_of_squares.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/sum_of_squares.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lowrank::norm_kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<double>;

HWY_INLINE hn::Vec<D> Widened(D d, const double* x) { return hn::LoadU(d, x); }
HWY_INLINE hn::Vec<D> Widened(D d, const float* x) { return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), x)); }

/// In four streams, each asked for ahead: one alone leaves a third of the memory's speed unused.
template <class T>
HWY_INLINE double SumOfSquares(const T* HWY_RESTRICT x, Index n) {
  const D d;
  const Index lanes = static_cast<Index>(hn::Lanes(d)), step = 2 * lanes, quarter = n / 4 / step * step;
  constexpr Index ahead = 1024 / sizeof(T);
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  auto t0 = hn::Zero(d), t1 = hn::Zero(d), t2 = hn::Zero(d), t3 = hn::Zero(d);
  const T *x1 = x + quarter, *x2 = x1 + quarter, *x3 = x2 + quarter;
  const auto add = [&](const T* y, hn::Vec<D>& s, hn::Vec<D>& t) HWY_ATTR {
    hwy::Prefetch(y + ahead);
    const auto first = Widened(d, y), second = Widened(d, y + lanes);
    s = hn::MulAdd(first, first, s);
    t = hn::MulAdd(second, second, t);
  };
  for (Index i = 0; i < quarter; i += step) {
    add(x + i, s0, t0);
    add(x1 + i, s1, t1);
    add(x2 + i, s2, t2);
    add(x3 + i, s3, t3);
  }
  const auto s = hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), t = hn::Add(hn::Add(t0, t1), hn::Add(t2, t3));
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(s, t)));
  for (Index i = 4 * quarter; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

double SumOfFloats(const float* x, Index n) { return SumOfSquares(x, n); }
double SumOfDoubles(const double* x, Index n) { return SumOfSquares(x, n); }

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::norm_kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank {
namespace norm_kernels {
HWY_EXPORT(SumOfFloats);
HWY_EXPORT(SumOfDoubles);
double of_floats(const float* x, Index n) { return HWY_DYNAMIC_DISPATCH(SumOfFloats)(x, n); }
double of_doubles(const double* x, Index n) { return HWY_DYNAMIC_DISPATCH(SumOfDoubles)(x, n); }
}  // namespace norm_kernels

double sum_of_squares(const float* x, Index n) { return norm_kernels::of_floats(x, n); }
double sum_of_squares(const double* x, Index n) { return norm_kernels::of_doubles(x, n); }

}  // namespace lowrank

#endif
