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

template <class T>
HWY_INLINE double SumOfSquares(const T* HWY_RESTRICT x, Index n) {
  const D d;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  Index i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto x0 = Widened(d, x + i), x1 = Widened(d, x + i + lanes);
    const auto x2 = Widened(d, x + i + 2 * lanes), x3 = Widened(d, x + i + 3 * lanes);
    s0 = hn::MulAdd(x0, x0, s0);
    s1 = hn::MulAdd(x1, x1, s1);
    s2 = hn::MulAdd(x2, x2, s2);
    s3 = hn::MulAdd(x3, x3, s3);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
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
