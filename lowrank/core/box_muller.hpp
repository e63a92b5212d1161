#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define LOWRANK_ON_ANY_DEVICE __host__ __device__
#else
#define LOWRANK_ON_ANY_DEVICE
#endif

namespace lowrank {

struct NormalPair {
  double first, second;
};

/// Box and Muller's transform: two standard normals of two 53-bit words,
///   w = 1 - radius_word/2⁵³, v = angle_word/2⁵³:   √(-2·ln w)·(cos 2πv, sin 2πv)
/// made of nothing but operations that IEEE 754 rounds in one way (+, ·, /, √ and the fused multiply-add), so that
/// every processor and every GPU has the same bits, and vectors of any length too (cpu/normals.cpp). The series are cut
/// where their next term is below half a unit of the last place: results are within some 3 units of it.
struct BoxMuller {
  // w = m·2^e with m in [√½, √2) and s = (m - 1)/(m + 1):  ln w = e·ln 2 + 2s·(1 + s²·Σ LogSeries·s²ᵏ).
  static constexpr double ln2 = 0x1.62e42fefa39efp-1;
  static constexpr std::int64_t root_of_half = 0x3fe6a09e667f3bcd;  // its bits
  struct LogSeries {
    static constexpr int terms = 9;
    LOWRANK_ON_ANY_DEVICE static constexpr double term(int k) {
      constexpr double list[] = {0x1.5555555555555p-2, 0x1.999999999999ap-3, 0x1.2492492492492p-3,
                                 0x1.c71c71c71c71cp-4, 0x1.745d1745d1746p-4, 0x1.3b13b13b13b14p-4,
                                 0x1.1111111111111p-4, 0x1.e1e1e1e1e1e1ep-5, 0x1.af286bca1af28p-5};
      return list[k];
    }
  };
  // v = q/4 + r with |r| <= 1/8:  sin 2πr = r·Σ SineSeries·r²ᵏ,  cos 2πr = 1 + r²·Σ CosineSeries·r²ᵏ.
  struct SineSeries {
    static constexpr int terms = 9;
    LOWRANK_ON_ANY_DEVICE static constexpr double term(int k) {
      constexpr double list[] = {0x1.921fb54442d18p+2,  -0x1.4abbce625be53p+5, 0x1.466bc6775aae2p+6,
                                 -0x1.32d2cce62bd86p+6, 0x1.50783487ee782p+5,  -0x1.e3074fde8871fp+3,
                                 0x1.e8f434d018d63p+1,  -0x1.6fadb9f155744p-1, 0x1.aaec32af93359p-4};
      return list[k];
    }
  };
  struct CosineSeries {
    static constexpr int terms = 8;
    LOWRANK_ON_ANY_DEVICE static constexpr double term(int k) {
      constexpr double list[] = {-0x1.3bd3cc9be45dep+4, 0x1.03c1f081b5ac4p+6,  -0x1.55d3c7e3cbffap+6,
                                 0x1.e1f506891babbp+5,  -0x1.a6d1f2a204a8cp+4, 0x1.f9d38a3763cc3p+2,
                                 -0x1.b6e24f44b128fp+0, 0x1.20c62c2f2d7f5p-2};
      return list[k];
    }
  };
  /// x + to_integer - to_integer is x rounded to an integer, whose bits are the low ones of x + to_integer.
  static constexpr double to_integer = 0x1.8p+52;

  LOWRANK_ON_ANY_DEVICE static NormalPair of(std::uint64_t radius_word, std::uint64_t angle_word) {
    const double w = static_cast<double>(static_cast<std::int64_t>((std::uint64_t{1} << 53) - radius_word)) * 0x1p-53;
    const std::int64_t bits = bits_of(w), e = (bits - root_of_half) >> 52;
    const double m = number_of(bits - (e << 52)), s = (m - 1) / (m + 1), ss = s * s;
    const double log_of_m = std::fma((s + s) * ss, sum<LogSeries>(ss), s + s);
    const double radius = std::sqrt(-2 * std::fma(static_cast<double>(e), ln2, log_of_m));

    const double v = static_cast<double>(static_cast<std::int64_t>(angle_word)) * 0x1p-53;
    const double shifted = 4 * v + to_integer, r = v - (shifted - to_integer) * 0.25, rr = r * r;
    const std::int64_t q = bits_of(shifted);
    const double sine = r * sum<SineSeries>(rr), cosine = std::fma(rr, sum<CosineSeries>(rr), 1.0);
    const double across = (q & 1) != 0 ? sine : cosine, up = (q & 1) != 0 ? cosine : sine;
    return {radius * (((q + 1) & 2) != 0 ? -across : across), radius * ((q & 2) != 0 ? -up : up)};
  }

 private:
  template <class Series>
  LOWRANK_ON_ANY_DEVICE static double sum(double x) {
    double total = Series::term(Series::terms - 1);
    for (int k = Series::terms - 2; k >= 0; --k) total = std::fma(total, x, Series::term(k));
    return total;
  }
  LOWRANK_ON_ANY_DEVICE static std::int64_t bits_of(double x) {
    std::int64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  LOWRANK_ON_ANY_DEVICE static double number_of(std::int64_t bits) {
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
};

}  // namespace lowrank
