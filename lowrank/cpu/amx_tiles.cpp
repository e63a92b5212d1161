#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <lowrank/cpu/amx_tiles.hpp>

#ifdef LOWRANK_HAS_AMX
#include <immintrin.h>

#ifndef __clang__
// GCC's own headers use variables that are undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace lowrank::amx {
namespace {

struct __attribute__((packed)) TileConfig {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// Upper halves of 2^-90 and 2^90.
constexpr std::uint16_t kLeast = 0x1280, kGreatest = 0x6c80;

LOWRANK_AMX inline __m512i upper_pairs(__m512i a, __m512i b) {
  // Upper halves of b stay, those of a move down: b & M | (a >> 16) & ~M.
  return _mm512_ternarylogic_epi32(_mm512_set1_epi32(-65536), b, _mm512_srli_epi32(a, 16), 0xca);
}

/// What lines of entries hold, in each lane of 32 bits: the largest upper halves, and every bit that is set anywhere,
/// since the upper halves of tiny numbers are zero.
struct Gathered {
  __m512i most = {}, bits = {};
};

/// 16 pairs (a, b) as P planes from `to` on; with three of them what they hold is gathered. Rounding to nearest, the
/// remainders exact.
template <int P>
LOWRANK_AMX inline void split(__m512 a, __m512 b, char* to, Gathered& gathered) {
  if constexpr (P == 1) {
    // The instruction gives all of a, then all of b.
    const auto both = (__m512i)_mm512_cvtne2ps_pbh(b, a);
    const __m512i upper = _mm512_castsi256_si512(_mm512_extracti64x4_epi64(both, 1));
    _mm512_store_si512(to,
                       _mm512_or_si512(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(both)),
                                       _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(upper)), 16)));
    return;
  }
  const __m512i half = _mm512_set1_epi32(0x8000), mask = _mm512_set1_epi32(-65536);
  const __m512i raw = upper_pairs(_mm512_castps_si512(a), _mm512_castps_si512(b));
  gathered.most = _mm512_max_epu16(gathered.most, _mm512_and_si512(raw, _mm512_set1_epi16(0x7fff)));
  gathered.bits = _mm512_ternarylogic_epi32(gathered.bits, _mm512_castps_si512(a), _mm512_castps_si512(b), 0xfe);  // or
  for (int plane = 0; plane < 2; ++plane) {
    const __m512i ha = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(a), half), mask);
    const __m512i hb = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(b), half), mask);
    _mm512_store_si512(to + plane * kTileBytes, upper_pairs(ha, hb));
    a = _mm512_sub_ps(a, _mm512_castsi512_ps(ha));
    b = _mm512_sub_ps(b, _mm512_castsi512_ps(hb));
  }
  _mm512_store_si512(to + 2 * kTileBytes, upper_pairs(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

/// The first `count` of 16 lanes.
LOWRANK_AMX inline __mmask16 lanes(Index count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}
/// 16 entries, of which the first `count` are there and the others 0.
LOWRANK_AMX inline __m512 load(const float* p, Index count) {
  return count >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(lanes(count), p);
}
LOWRANK_AMX inline __m512 load(const double* p, Index count) {
  const __mmask16 mask = lanes(count);
  const auto low = static_cast<__mmask8>(mask), high = static_cast<__mmask8>(mask >> 8);
  const __m256 a = _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(low, p));
  const __m256 b = high == 0 ? _mm256_setzero_ps() : _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(high, p + 8));
  return _mm512_insertf32x8(_mm512_castps256_ps512(a), b, 1);
}
/// The same, `stride` entries apart.
LOWRANK_AMX inline __m512 load(const float* p, Index count, Index stride) {
  if (stride == 1) return load(p, count);
  alignas(64) float entries[16] = {};
  for (Index i = 0; i < std::min<Index>(count, 16); ++i) entries[i] = p[i * stride];
  return _mm512_load_ps(entries);
}

/// Whether a line that holds this may go through the unit: its largest entry is in range, or all are 0.
LOWRANK_AMX inline bool in_range(const Gathered& line) {
  if (_mm512_cmpgt_epu16_mask(line.most, _mm512_set1_epi16(kGreatest)) != 0) return false;
  return _mm512_cmpge_epu16_mask(line.most, _mm512_set1_epi16(kLeast)) != 0 ||
         _mm512_test_epi32_mask(line.bits, _mm512_set1_epi32(0x7fffffff)) == 0;
}
/// The same for 16 lines, one a lane.
LOWRANK_AMX inline bool lanes_in_range(const Gathered& lines) {
  const __m512i most = _mm512_max_epu16(lines.most, _mm512_rol_epi32(lines.most, 16));
  const __mmask16 nonzero = _mm512_test_epi32_mask(lines.bits, _mm512_set1_epi32(0x7fffffff));
  const __mmask16 small = _mm512_cmplt_epu32_mask(most, _mm512_set1_epi32(kLeast << 16));
  return _mm512_cmpgt_epu16_mask(most, _mm512_set1_epi16(kGreatest)) == 0 && (small & nonzero) == 0;
}

}  // namespace

LOWRANK_AMX void configure_tiles() {
  // In memory for good: the compiler does not see that the instruction reads all of it.
  static constexpr TileConfig config;
  _tile_loadconfig(&config);
}
LOWRANK_AMX void release_tiles() { _tile_release(); }

namespace {

template <int P, Real S>
LOWRANK_AMX bool convert_rows(MatrixView<const S> A, Index groups, Index steps, char* to) {
  bool fits = true;
  for (Index i = 0; i < groups * kLines; ++i) {
    const S* row = A.data() + i * A.ld();
    const Index depth = i < A.rows() ? A.cols() : 0;
    char* line = to + i / kLines * steps * step_bytes(P) + i % kLines * 64;
    Gathered held;
    for (Index s = 0; s < steps; ++s) {
      const Index l = s * kStepDepth;
      split<P>(load(row + l, depth - l), load(row + l + 16, depth - l - 16), line + s * step_bytes(P), held);
    }
    fits = fits && in_range(held);
  }
  return fits;
}

constexpr Index kMostGroups = 16;

template <int P, Real S>
LOWRANK_AMX bool convert_columns(MatrixView<const S> A, Index groups, Index steps, char* to) {
  Gathered held[kMostGroups];
  for (Index s = 0; s < steps; ++s)
    for (Index p = 0; p < kLines; ++p) {
      const Index l = s * kStepDepth + p;
      const Index first = l < A.cols() ? A.rows() : 0, second = l + 16 < A.cols() ? A.rows() : 0;
      for (Index g = 0; g < groups; ++g)
        split<P>(load(A.data() + l * A.ld() + g * kLines, first - g * kLines),
                 load(A.data() + (l + 16) * A.ld() + g * kLines, second - g * kLines),
                 to + (g * steps + s) * step_bytes(P) + p * 64, held[g]);
    }
  bool fits = true;
  for (Index g = 0; g < groups; ++g) fits = fits && lanes_in_range(held[g]);
  return fits;
}

}  // namespace

template <int P, Real S>
bool convert(MatrixView<const S> A, Index groups, Index steps, char* to) {
  return A.order() == Order::row_major ? convert_rows<P>(A, groups, steps, to)
                                       : convert_columns<P>(A, groups, steps, to);
}

namespace {

LOWRANK_AMX std::uint32_t largest_bits(const float* x, Index n) {
  std::uint32_t most = 0;
  for (Index i = 0; i < n; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    most = std::max(most, bits & 0x7fffffffU);
  }
  return most;
}
LOWRANK_AMX void largest_bits(MatrixView<const float> X, std::uint32_t* most) {
  for (Index l = 0; l < X.rows(); ++l)
    for (Index j = 0; j < X.cols(); ++j) {
      std::uint32_t bits;
      std::memcpy(&bits, X.data() + l * X.ld() + j, sizeof bits);
      most[j] = std::max(most[j], bits & 0x7fffffffU);
    }
}

}  // namespace

std::vector<float> largest_entries(MatrixView<const float> X) {
  std::vector<std::uint32_t> bits(static_cast<std::size_t>(X.cols()), 0);
  if (X.order() == Order::col_major) {
#pragma omp parallel for schedule(static)
    for (Index j = 0; j < X.cols(); ++j) bits[static_cast<std::size_t>(j)] = largest_bits(&X(0, j), X.rows());
  } else {
    largest_bits(X, bits.data());
  }
  std::vector<float> largest(bits.size());
  for (std::size_t j = 0; j < bits.size(); ++j) {
    if (bits[j] >= 0x7f800000U) return {};
    std::memcpy(&largest[j], &bits[j], sizeof(float));
  }
  return largest;
}

namespace {

template <int P>
LOWRANK_AMX void pack(MatrixView<const float> X, bool by_columns, Panel& panel, Index g, Index s) {
  const bool col_major = X.order() == Order::col_major;
  const Index down = col_major ? 1 : X.ld(), right = col_major ? X.ld() : 1;
  const Index l0 = s * kStepDepth, j0 = g * kLines, depth = X.rows() - l0, cols = X.cols() - j0;
  const float* from = X.data() + l0 * down + j0 * right;
  const float* power = panel.power.data() + j0;
  Gathered unused;
  for (Index p = 0; p < kLines; ++p) {
    const Index first = by_columns ? (p < depth ? cols : 0) : (p < cols ? depth : 0);
    const Index second = by_columns ? (p + 16 < depth ? cols : 0) : first - 16;
    const float* a = from + p * (by_columns ? down : right);
    const Index stride = by_columns ? right : down;
    const __m512 scale = by_columns ? _mm512_loadu_ps(power) : _mm512_set1_ps(power[p]);
    split<P>(_mm512_scalef_ps(load(a, first, stride), scale),
             _mm512_scalef_ps(load(a + 16 * down, second, stride), scale), panel.at(g, s) + p * 64, unused);
  }
}

}  // namespace

template <int P>
Panel packed_panel(MatrixView<const float> X, const float* largest, bool by_columns) {
  const Index steps = (X.rows() + kStepDepth - 1) / kStepDepth, groups = (X.cols() + kLines - 1) / kLines;
  const std::size_t width = static_cast<std::size_t>(groups * kLines);
  Panel panel{P, steps, groups, std::vector<float>(width, 0.0F), std::vector<float>(width, 1.0F), {}};
  panel.tiles = Matrix<float>(checked_product(steps * groups, step_bytes(P) / 4), 1);
  for (std::size_t j = 0; P == 3 && j < static_cast<std::size_t>(X.cols()); ++j) {
    if (largest[j] == 0) continue;
    const int exponent = std::ilogb(largest[j]);
    panel.power[j] = static_cast<float>(-exponent);
    panel.inverse[j] = std::ldexp(1.0F, exponent);
  }
#pragma omp parallel for schedule(static) collapse(2)
  for (Index s = 0; s < steps; ++s)
    for (Index g = 0; g < groups; ++g) pack<P>(X, by_columns, panel, g, s);
  return panel;
}

template bool convert<1>(MatrixView<const double>, Index, Index, char*);
template bool convert<3>(MatrixView<const float>, Index, Index, char*);
template bool convert<3>(MatrixView<const double>, Index, Index, char*);
template Panel packed_panel<1>(MatrixView<const float>, const float*, bool);
template Panel packed_panel<3>(MatrixView<const float>, const float*, bool);

}  // namespace lowrank::amx

#endif
