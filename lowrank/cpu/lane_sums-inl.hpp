// Sums over the lanes of vectors. Included once for each instruction set.
#if defined(LOWRANK_LANE_SUMS) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWRANK_LANE_SUMS
#undef LOWRANK_LANE_SUMS
#else
#define LOWRANK_LANE_SUMS
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lowrank {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void SumsOfLanes(D d, const hn::Vec<D>* v, T* to) {
  for (int r = 0; r < 4; ++r) to[r] = hn::GetLane(hn::SumOfLanes(d, v[r]));
}
#else
/// The sum of each 16-byte block's fellows: lane i of the result is Σ over the blocks of their lane i.
template <class D>
HWY_INLINE hn::Vec<hn::CappedTag<hn::TFromD<D>, 16 / sizeof(hn::TFromD<D>)>> SumOfBlocks(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) * sizeof(hn::TFromD<D>) <= 16) {
    return v;
  } else {
    const hn::Half<D> half;
    return SumOfBlocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

/// to[r] = the sum of the lanes of v[r], for four vectors at once: interleaving adds them in a third of the
/// instructions of four sums.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void SumsOfLanes(D d, const hn::Vec<D>* v, T* to) {
  const hn::CappedTag<T, 16 / sizeof(T)> block;
  const auto ab = hn::Add(hn::InterleaveLower(d, v[0], v[1]), hn::InterleaveUpper(d, v[0], v[1]));
  const auto cd = hn::Add(hn::InterleaveLower(d, v[2], v[3]), hn::InterleaveUpper(d, v[2], v[3]));
  if constexpr (sizeof(T) == 4) {
    const hn::Repartition<double, D> pairs;
    const auto p = hn::BitCast(pairs, ab), q = hn::BitCast(pairs, cd);
    const auto sums =
        hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, p, q)), hn::BitCast(d, hn::InterleaveUpper(pairs, p, q)));
    hn::StoreU(SumOfBlocks(d, sums), block, to);
  } else {
    hn::StoreU(SumOfBlocks(d, ab), block, to);
    hn::StoreU(SumOfBlocks(d, cd), block, to + 2);
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace lowrank
HWY_AFTER_NAMESPACE();

#endif
