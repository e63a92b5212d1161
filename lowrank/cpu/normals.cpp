#include <algorithm>
#include <lowrank/core/random.hpp>
#include <lowrank/cpu/normals.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/normals.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lowrank::normals {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Where multiply-adds are not fused the bits come from numbers one by one.
#if HWY_NATIVE_FMA

using D = hn::ScalableTag<double>;
using Words = hn::RebindToUnsigned<D>;
using Signed = hn::RebindToSigned<D>;
using Halves = hn::Repartition<std::uint32_t, Words>;
using Vector = hn::Vec<D>;
using Word = hn::Vec<Words>;

template <class Series>
HWY_INLINE Vector Sum(Vector x) {
  const D d;
  Vector total = hn::Set(d, Series::term(Series::terms - 1));
  for (int k = Series::terms - 2; k >= 0; --k) total = hn::MulAdd(total, x, hn::Set(d, Series::term(k)));
  return total;
}

/// Philox 4x32-10 on counters in the low halves of words; the high halves of what comes back are anything.
HWY_INLINE void TenRounds(Word (&c)[4], std::uint64_t seed) {
  const Words words;
  const Halves halves;
  const auto m0 = hn::Set(halves, 0xD2511F53u), m1 = hn::Set(halves, 0xCD9E8D57u);
  std::uint32_t key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Word p0 = hn::MulEven(m0, hn::BitCast(halves, c[0])), p1 = hn::MulEven(m1, hn::BitCast(halves, c[2]));
    c[0] = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c[1]), hn::Set(words, key0));
    c[2] = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c[3]), hn::Set(words, key1));
    c[1] = p1;
    c[3] = p0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

/// As BoxMuller::of.
HWY_INLINE void Transform(Word radius_word, Word angle_word, Vector& first, Vector& second) {
  const D d;
  const Words words;
  const Signed integers;
  const auto number = [&](Word word) HWY_ATTR { return hn::ConvertTo(d, hn::BitCast(integers, word)); };
  const Vector unit = hn::Set(d, 0x1p-53), one = hn::Set(d, 1.0);

  const Vector w = hn::Mul(number(hn::Sub(hn::Set(words, std::uint64_t{1} << 53), radius_word)), unit);
  const auto bits = hn::BitCast(integers, w);
  const auto e = hn::ShiftRight<52>(hn::Sub(bits, hn::Set(integers, BoxMuller::root_of_half)));
  const Vector m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<52>(e)));
  const Vector s = hn::Div(hn::Sub(m, one), hn::Add(m, one)), ss = hn::Mul(s, s), twice = hn::Add(s, s);
  const Vector log_of_m = hn::MulAdd(hn::Mul(twice, ss), Sum<BoxMuller::LogSeries>(ss), twice);
  const Vector log_of_w = hn::MulAdd(hn::ConvertTo(d, e), hn::Set(d, BoxMuller::ln2), log_of_m);
  const Vector radius = hn::Sqrt(hn::Mul(hn::Set(d, -2.0), log_of_w));

  const Vector v = hn::Mul(number(angle_word), unit), to_integer = hn::Set(d, BoxMuller::to_integer);
  const Vector shifted = hn::MulAdd(hn::Set(d, 4.0), v, to_integer);
  const Vector r = hn::NegMulAdd(hn::Sub(shifted, to_integer), hn::Set(d, 0.25), v), rr = hn::Mul(r, r);
  const Word q = hn::BitCast(words, shifted), two = hn::Set(words, 2);
  const Vector sine = hn::Mul(r, Sum<BoxMuller::SineSeries>(rr));
  const Vector cosine = hn::MulAdd(rr, Sum<BoxMuller::CosineSeries>(rr), one);
  const auto turned = hn::MaskFromVec(hn::BitCast(d, hn::Sub(hn::Zero(words), hn::And(q, hn::Set(words, 1)))));
  const auto sign = [&](Word of) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<62>(hn::And(of, two))); };
  const Vector across = hn::IfThenElse(turned, sine, cosine), up = hn::IfThenElse(turned, cosine, sine);
  first = hn::Mul(radius, hn::Xor(across, sign(hn::Add(q, hn::Set(words, 1)))));
  second = hn::Mul(radius, hn::Xor(up, sign(q)));
}

HWY_INLINE void Store(Vector x, double* to) { hn::StoreU(x, D(), to); }
HWY_INLINE void Store(Vector x, float* to) {
  const hn::Rebind<float, D> d;
  hn::StoreU(hn::DemoteTo(d, x), d, to);
}

template <class T>
HWY_INLINE Index WholeVectors(std::uint64_t seed, std::uint64_t stream, std::uint64_t first_row, std::uint32_t position,
                              Index count, T* HWY_RESTRICT first, T* HWY_RESTRICT second) {
  const Words words;
  const Index lanes = static_cast<Index>(hn::Lanes(words));
  Index i = 0;
  for (; i + lanes <= count; i += lanes) {
    const Word row = hn::Iota(words, first_row + static_cast<std::uint64_t>(i));
    Word c[4] = {
        row, hn::Set(words, position),
        hn::Or(hn::And(hn::ShiftRight<32>(row), hn::Set(words, 0xffff)), hn::Set(words, (stream & 0xffff) << 16)),
        hn::Set(words, stream >> 16 & 0xffffffff)};
    TenRounds(c, seed);
    const Word low = hn::Set(words, 0xffffffff);
    const Word radius_word = hn::ShiftRight<11>(hn::Or(hn::ShiftLeft<32>(c[0]), hn::And(c[1], low)));
    const Word angle_word = hn::ShiftRight<11>(hn::Or(hn::ShiftLeft<32>(c[2]), hn::And(c[3], low)));
    Vector a, b;
    Transform(radius_word, angle_word, a, b);
    Store(a, first + i);
    Store(b, second + i);
  }
  return i;
}

#else

template <class T>
Index WholeVectors(std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t, Index, T*, T*) {
  return 0;
}

#endif

Index OfFloats(std::uint64_t seed, std::uint64_t stream, std::uint64_t first_row, std::uint32_t position, Index count,
               float* first, float* second) {
  return WholeVectors(seed, stream, first_row, position, count, first, second);
}
Index OfDoubles(std::uint64_t seed, std::uint64_t stream, std::uint64_t first_row, std::uint32_t position, Index count,
                double* first, double* second) {
  return WholeVectors(seed, stream, first_row, position, count, first, second);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::normals
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank {
namespace normals {
HWY_EXPORT(OfFloats);
HWY_EXPORT(OfDoubles);
/// How many of the pairs were made.
template <Real T>
Index whole_vectors(std::uint64_t seed, std::uint64_t stream, std::uint64_t first_row, std::uint32_t position,
                    Index count, T* first, T* second) {
  if constexpr (std::is_same_v<T, float>)
    return HWY_DYNAMIC_DISPATCH(OfFloats)(seed, stream, first_row, position, count, first, second);
  else
    return HWY_DYNAMIC_DISPATCH(OfDoubles)(seed, stream, first_row, position, count, first, second);
}
}  // namespace normals

template <Real T>
void normal_pairs(std::uint64_t seed, std::uint64_t stream, std::uint64_t first_row, std::uint32_t position,
                  Index count, T* first, T* second) {
  Index i = normals::whole_vectors(seed, stream, first_row, position, count, first, second);
  const Philox philox(seed, stream);
  for (; i < count; ++i) {
    const NormalPair pair = philox.normal_pair(first_row + static_cast<std::uint64_t>(i), position);
    first[i] = static_cast<T>(pair.first);
    second[i] = static_cast<T>(pair.second);
  }
}

template void normal_pairs(std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t, Index, float*, float*);
template void normal_pairs(std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t, Index, double*, double*);

}  // namespace lowrank

#endif
