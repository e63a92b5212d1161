#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_amx.hpp>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

// GCC's own headers use variables that are undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#define LOWRANK_AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")))

namespace lowrank::amx {
namespace {

/// A tile: 16 lines of 16 pairs of bfloat16 (32 entries of the depth), or 16×16 floats.
constexpr Index kLines = 16, kStepDepth = 32, kTileBytes = 1024, kTileFloats = 256;
/// The tiles h, m and l of one step of the depth lie behind each other.
constexpr Index kStepBytes = 3 * kTileBytes;
/// Depth over which a sum stays in a tile before it is added to the result. Longer ones lose accuracy.
constexpr Index kDepth = 512, kSteps = kDepth / kStepDepth;
constexpr Index kColumns = 512;
/// Groups of 16 rows of A that meet the kernel together.
constexpr Index kGroups = 4;
/// Upper halves of 2^-90 and 2^90.
constexpr std::uint16_t kLeast = 0x1280, kGreatest = 0x6c80;

Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

/// Asks for memory ahead: `lines` runs of `per_line` cache lines, `pitch` bytes apart.
struct Prefetch {
  const char* at = nullptr;
  Index per_line = 0, pitch = 0, lines = 0, done = 0, each = 0;
  void some() {
    for (Index i = 0; i < each && lines > 0; ++i) {
      _mm_prefetch(at + done * 64, _MM_HINT_T1);
      if (++done == per_line) done = 0, at += pitch, --lines;
    }
  }
};

LOWRANK_AMX inline __m512i upper_pairs(__m512i a, __m512i b) {
  // Upper halves of b stay, those of a move down: b & M | (a >> 16) & ~M.
  return _mm512_ternarylogic_epi32(_mm512_set1_epi32(-65536), b, _mm512_srli_epi32(a, 16), 0xca);
}

/// 16 pairs (a, b) cut into three planes, `to` + 0, 1 and 2 tiles; `most` gathers the largest upper half of each lane.
/// Rounding to nearest, the remainders exact.
LOWRANK_AMX inline void split(__m512 a, __m512 b, char* to, __m512i& most) {
  const __m512i half = _mm512_set1_epi32(0x8000), mask = _mm512_set1_epi32(-65536);
  const __m512i raw = upper_pairs(_mm512_castps_si512(a), _mm512_castps_si512(b));
  most = _mm512_max_epu16(most, _mm512_and_si512(raw, _mm512_set1_epi16(0x7fff)));
  for (int plane = 0; plane < 2; ++plane) {
    const __m512i ha = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(a), half), mask);
    const __m512i hb = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(b), half), mask);
    _mm512_store_si512(to + plane * kTileBytes, upper_pairs(ha, hb));
    a = _mm512_sub_ps(a, _mm512_castsi512_ps(ha));
    b = _mm512_sub_ps(b, _mm512_castsi512_ps(hb));
  }
  _mm512_store_si512(to + 2 * kTileBytes, upper_pairs(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

/// 16 entries, of which the first `count` are there and the others 0.
LOWRANK_AMX inline __m512 load(const float* p, Index count) {
  if (count >= 16) return _mm512_loadu_ps(p);
  return count <= 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(static_cast<__mmask16>((1 << count) - 1), p);
}
LOWRANK_AMX inline __m512 load(const double* p, Index count) {
  if (count <= 0) return _mm512_setzero_ps();
  const int all = count >= 16 ? 0xffff : (1 << count) - 1;
  const __m256 low = _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(static_cast<__mmask8>(all & 0xff), p));
  const __m256 high = _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(static_cast<__mmask8>(all >> 8), p + 8));
  return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
/// The same, `stride` entries apart.
LOWRANK_AMX inline __m512 load(const float* p, Index count, Index stride) {
  if (stride == 1) return load(p, count);
  alignas(64) float entries[16] = {};
  for (Index i = 0; i < std::min<Index>(count, 16); ++i) entries[i] = p[i * stride];
  return _mm512_load_ps(entries);
}

/// Whether a line whose largest upper halves are `most` may go through the unit.
LOWRANK_AMX inline bool in_range(__m512i most) {
  if (_mm512_cmpgt_epu16_mask(most, _mm512_set1_epi16(kGreatest)) != 0) return false;
  return _mm512_cmpge_epu16_mask(most, _mm512_set1_epi16(kLeast)) != 0 || _mm512_test_epi16_mask(most, most) == 0;
}
/// The same for 16 lines, one a lane of 32 bits.
LOWRANK_AMX inline bool lanes_in_range(__m512i most) {
  most = _mm512_max_epu16(most, _mm512_rol_epi32(most, 16));
  const __m512i small = _mm512_set1_epi16(kLeast);
  return _mm512_cmpgt_epu16_mask(most, _mm512_set1_epi16(kGreatest)) == 0 &&
         (_mm512_cmplt_epu16_mask(most, small) & _mm512_test_epi16_mask(most, most)) == 0;
}

/// Zeros that are not zero in double would be lost.
bool only_zeros(MatrixView<const float>) { return true; }
bool only_zeros(MatrixView<const double> A) {
  for (Index i = 0; i < A.rows(); ++i) {
    double greatest = 0;
    for (Index l = 0; l < A.cols(); ++l) greatest = std::max(greatest, std::abs(A(i, l)));
    if (greatest != 0 && greatest < 0x1p-91) return false;
  }
  return true;
}

/// A block of rows by rows into tiles, group g and step s at `to` + (g·kSteps + s)·kStepBytes: line i of a tile holds
/// row i, its pairs the entries p and p + 16 of the step.
template <Real S>
LOWRANK_AMX bool convert_rows(MatrixView<const S> A, Index padded, char* to) {
  const Index steps = (A.cols() + kStepDepth - 1) / kStepDepth;
  bool fits = true;
  for (Index i = 0; i < padded; ++i) {
    const S* row = A.data() + i * A.ld();
    const Index depth = i < A.rows() ? A.cols() : 0;
    char* line = to + i / kLines * kSteps * kStepBytes + i % kLines * 64;
    __m512i most = _mm512_setzero_si512();
    for (Index s = 0; s < steps; ++s) {
      const Index l = s * kStepDepth;
      split(load(row + l, depth - l), load(row + l + 16, depth - l - 16), line + s * kStepBytes, most);
    }
    fits = fits && in_range(most);
    if (std::is_same_v<S, double> && depth > 0 && _mm512_test_epi16_mask(most, most) == 0)
      fits = fits && only_zeros(A.middle_rows(i, 1));
  }
  return fits;
}

/// The same by columns: line p of a tile holds columns p and p + 16 of the step, its pairs 16 rows.
template <Real S>
LOWRANK_AMX bool convert_columns(MatrixView<const S> A, Index padded, char* to) {
  const Index steps = (A.cols() + kStepDepth - 1) / kStepDepth, groups = padded / kLines;
  __m512i most[16];
  for (Index g = 0; g < groups; ++g) most[g] = _mm512_setzero_si512();
  for (Index s = 0; s < steps; ++s)
    for (Index p = 0; p < kLines; ++p) {
      const Index l = s * kStepDepth + p;
      const Index first = l < A.cols() ? A.rows() : 0, second = l + 16 < A.cols() ? A.rows() : 0;
      for (Index g = 0; g < groups; ++g)
        split(load(A.data() + l * A.ld() + g * kLines, first - g * kLines),
              load(A.data() + (l + 16) * A.ld() + g * kLines, second - g * kLines),
              to + (g * kSteps + s) * kStepBytes + p * 64, most[g]);
    }
  bool fits = true;
  for (Index g = 0; g < groups; ++g) fits = fits && lanes_in_range(most[g]);
  return fits && only_zeros(A);
}

/// The panel: columns scaled to a largest entry in [1, 2) and cut into tiles, group g, step s at
/// (g·steps + s)·kStepBytes. Of the form that goes with A's: A by rows stands left of X, by columns right of it.
struct Panel {
  Index steps, groups;
  std::vector<float> power;    // Column j is multiplied by 2^power[j],
  std::vector<float> inverse;  // and results by inverse[j].
  Matrix<float> tiles;
  char* at(Index g, Index s) { return reinterpret_cast<char*>(tiles.data()) + (g * steps + s) * kStepBytes; }
};

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

/// The largest |x| of each column, or nothing if X is not finite.
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

LOWRANK_AMX void pack(MatrixView<const float> X, bool by_columns, Panel& panel, Index g, Index s) {
  const bool col_major = X.order() == Order::col_major;
  const Index down = col_major ? 1 : X.ld(), right = col_major ? X.ld() : 1;
  const Index l0 = s * kStepDepth, j0 = g * kLines, depth = X.rows() - l0, cols = X.cols() - j0;
  const float* from = X.data() + l0 * down + j0 * right;
  const float* power = panel.power.data() + j0;
  __m512i unused = _mm512_setzero_si512();
  for (Index p = 0; p < kLines; ++p) {
    const Index first = by_columns ? (p < depth ? cols : 0) : (p < cols ? depth : 0);
    const Index second = by_columns ? (p + 16 < depth ? cols : 0) : first - 16;
    const float* a = from + p * (by_columns ? down : right);
    const Index stride = by_columns ? right : down;
    const __m512 scale = by_columns ? _mm512_loadu_ps(power) : _mm512_set1_ps(power[p]);
    split(_mm512_scalef_ps(load(a, first, stride), scale), _mm512_scalef_ps(load(a + 16 * down, second, stride), scale),
          panel.at(g, s) + p * 64, unused);
  }
}

Panel packed_panel(MatrixView<const float> X, const float* largest, bool by_columns) {
  const Index steps = (X.rows() + kStepDepth - 1) / kStepDepth, groups = (X.cols() + kLines - 1) / kLines;
  const std::size_t width = static_cast<std::size_t>(groups * kLines);
  Panel panel{steps, groups, std::vector<float>(width, 0.0F), std::vector<float>(width, 1.0F), {}};
  panel.tiles = Matrix<float>(checked_product(steps * groups, kStepBytes / 4), 1);
  for (std::size_t j = 0; j < static_cast<std::size_t>(X.cols()); ++j) {
    if (largest[j] == 0) continue;
    const int exponent = std::ilogb(largest[j]);
    panel.power[j] = static_cast<float>(-exponent);
    panel.inverse[j] = std::ldexp(1.0F, exponent);
  }
#pragma omp parallel for schedule(static) collapse(2)
  for (Index g = 0; g < groups; ++g)
    for (Index s = 0; s < steps; ++s) pack(X, by_columns, panel, g, s);
  return panel;
}

struct __attribute__((packed)) TileConfig {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

LOWRANK_AMX void configure_tiles() {
  static constexpr TileConfig config;  // In memory: the compiler does not see that the instruction reads all of it.
  _tile_loadconfig(&config);
}
LOWRANK_AMX void release_tiles() { _tile_release(); }

// Sum `c` += a·x, in the order that A's side asks for. Tile numbers are constants.
#define LOWRANK_DP(c, a, x)  \
  if constexpr (Left)        \
    _tile_dpbf16ps(c, a, x); \
  else                       \
    _tile_dpbf16ps(c, x, a)
#define LOWRANK_LOAD(tile, from, plane) _tile_loadd(tile, (from) + (plane)*kTileBytes, 64)
#define LOWRANK_FOUR() \
  LOWRANK_DP(0, 4, 6); \
  LOWRANK_DP(1, 4, 7); \
  LOWRANK_DP(2, 5, 6); \
  LOWRANK_DP(3, 5, 7)

/// Two groups of A by two of X: sums (0,0), (0,1), (1,0), (1,1) to out[0..3]. Small products first.
template <bool Left>
LOWRANK_AMX void kernel_2x2(const char* a, const char* x0, const char* x1, Index steps, float* const* out,
                            Prefetch& ahead) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (Index s = 0; s < steps; ++s) {
    const char *a0 = a + s * kStepBytes, *a1 = a0 + kSteps * kStepBytes;
    LOWRANK_LOAD(4, a0, 0);
    LOWRANK_LOAD(6, x0, 2);
    LOWRANK_LOAD(7, x1, 2);
    LOWRANK_LOAD(5, a1, 0);
    LOWRANK_FOUR();
    LOWRANK_LOAD(6, x0, 1);
    LOWRANK_LOAD(7, x1, 1);
    LOWRANK_FOUR();
    LOWRANK_LOAD(4, a0, 1);
    LOWRANK_LOAD(5, a1, 1);
    LOWRANK_FOUR();
    LOWRANK_LOAD(6, x0, 0);
    LOWRANK_LOAD(7, x1, 0);
    LOWRANK_FOUR();
    LOWRANK_LOAD(4, a0, 2);
    LOWRANK_LOAD(5, a1, 2);
    LOWRANK_FOUR();
    LOWRANK_LOAD(4, a0, 0);
    LOWRANK_LOAD(5, a1, 0);
    LOWRANK_FOUR();
    x0 += kStepBytes, x1 += kStepBytes;
    ahead.some();
  }
  _tile_stored(0, out[0], 64);
  _tile_stored(1, out[1], 64);
  _tile_stored(2, out[2], 64);
  _tile_stored(3, out[3], 64);
}

/// Four groups of A by one of X.
template <bool Left>
LOWRANK_AMX void kernel_4x1(const char* a, const char* x, Index steps, float* const* out, Prefetch& ahead) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (Index s = 0; s < steps; ++s) {
    const char* at = a + s * kStepBytes;
    LOWRANK_LOAD(4, x, 0);
    LOWRANK_LOAD(5, x, 1);
    LOWRANK_LOAD(6, x, 2);
#define LOWRANK_ONE(c)                              \
  LOWRANK_LOAD(7, at + (c)*kSteps * kStepBytes, 2); \
  LOWRANK_DP(c, 7, 4);                              \
  LOWRANK_LOAD(7, at + (c)*kSteps * kStepBytes, 1); \
  LOWRANK_DP(c, 7, 5);                              \
  LOWRANK_DP(c, 7, 4);                              \
  LOWRANK_LOAD(7, at + (c)*kSteps * kStepBytes, 0); \
  LOWRANK_DP(c, 7, 6);                              \
  LOWRANK_DP(c, 7, 5);                              \
  LOWRANK_DP(c, 7, 4)
    LOWRANK_ONE(0);
    LOWRANK_ONE(1);
    LOWRANK_ONE(2);
    LOWRANK_ONE(3);
    x += kStepBytes;
    ahead.some();
  }
  _tile_stored(0, out[0], 64);
  _tile_stored(1, out[1], 64);
  _tile_stored(2, out[2], 64);
  _tile_stored(3, out[3], 64);
}

LOWRANK_AMX void add_tiles(const float* from, int count, float* const* out) {
  for (int t = 0; t < count; ++t)
    for (Index i = 0; i < kTileFloats; i += 16)
      _mm512_store_ps(out[t] + i,
                      _mm512_add_ps(_mm512_load_ps(out[t] + i), _mm512_load_ps(from + t * kTileFloats + i)));
}

/// The sums of a converted block with the steps of the panel from `first` on, set or added to tile (g, h) of
/// sums, at (g·panel.groups + h)·kTileFloats.
template <bool Left>
void block_products(const char* a, Index groups, Panel& panel, Index first, Index steps, bool add, float* sums,
                    Prefetch& ahead) {
  alignas(64) float fresh[4 * kTileFloats];
  float* const scratch[4] = {fresh, fresh + kTileFloats, fresh + 2 * kTileFloats, fresh + 3 * kTileFloats};
  const auto tile = [&](Index g, Index h) { return sums + (g * panel.groups + h) * kTileFloats; };
  const Index pairs = panel.groups / 2, kernels = groups / 2 * pairs + (panel.groups % 2) * groups / 4;
  if (ahead.lines > 0) ahead.each = (ahead.lines * ahead.per_line + kernels * steps - 1) / (kernels * steps);
  for (Index g = 0; g < groups; g += 2)
    for (Index h = 0; h + 1 < panel.groups; h += 2) {
      float* const out[4] = {tile(g, h), tile(g, h + 1), tile(g + 1, h), tile(g + 1, h + 1)};
      kernel_2x2<Left>(a + g * kSteps * kStepBytes, panel.at(h, first), panel.at(h + 1, first), steps,
                       add ? scratch : out, ahead);
      if (add) add_tiles(fresh, 4, out);
    }
  if (panel.groups % 2 == 0) return;
  const Index h = panel.groups - 1;
  for (Index g = 0; g < groups; g += 4) {
    float* const out[4] = {tile(g, h), tile(g + 1, h), tile(g + 2, h), tile(g + 3, h)};
    kernel_4x1<Left>(a + g * kSteps * kStepBytes, panel.at(h, first), steps, add ? scratch : out, ahead);
    if (add) add_tiles(fresh, 4, out);
  }
}

/// C = alpha·(sums, scaled back) + beta·C.
template <bool Left>
LOWRANK_AMX void store(float alpha, const float* sums, const Panel& panel, float beta, MatrixView<float> C) {
  const bool by_rows = C.order() == Order::row_major;
  for (Index j0 = 0; j0 < C.cols(); j0 += kLines)
    for (Index i0 = 0; i0 < C.rows(); i0 += kLines) {
      const float* tile = sums + (i0 / kLines * panel.groups + j0 / kLines) * kTileFloats;
      const Index rows = std::min(kLines, C.rows() - i0), cols = std::min(kLines, C.cols() - j0);
      const Index lines = by_rows ? rows : cols, length = by_rows ? cols : rows;
      const Index along = by_rows == Left ? 1 : kLines, across = by_rows == Left ? kLines : 1;
      const float* inverse = panel.inverse.data() + j0;
      for (Index l = 0; l < lines; ++l) {
        float* line = by_rows ? C.data() + (i0 + l) * C.ld() + j0 : C.data() + (j0 + l) * C.ld() + i0;
        for (Index i = 0; i < length; ++i) {
          const float value = alpha * (tile[l * across + i * along] * inverse[by_rows ? i : l]);
          line[i] = beta == 0 ? value : value + beta * line[i];
        }
      }
    }
}

template <Real S>
Prefetch prefetch_of(MatrixView<const S> A) {
  Prefetch p;
  const bool by_rows = A.order() == Order::row_major;
  p.at = reinterpret_cast<const char*>(A.data());
  p.per_line = ((by_rows ? A.cols() : A.rows()) * static_cast<Index>(sizeof(S)) + 63) / 64;
  p.lines = by_rows ? A.rows() : A.cols();
  p.pitch = A.ld() * static_cast<Index>(sizeof(S));
  return p;
}

/// Rows of A by blocks, handed out in turn; the block after the present one is known early, to be fetched ahead.
template <bool Left, Real S>
std::vector<char> sweep(float alpha, MatrixView<const S> A, Panel& panel, float beta, MatrixView<float> C,
                        Index height) {
  const Index m = A.rows(), n = A.cols(), blocks = (m + height - 1) / height;
  std::vector<char> refused(static_cast<std::size_t>(blocks), 0);
  std::atomic<Index> counter{0};
#pragma omp parallel
  {
    Matrix<float> planes(height / kLines * kSteps * kStepBytes / 4, 1), sums(height * panel.groups * kLines, 1);
    char* const tiles = reinterpret_cast<char*>(planes.data());
    configure_tiles();
    const auto cut = [&](Index b, Index l) {
      return A.block(b * height, l, std::min(height, m - b * height), std::min(kDepth, n - l));
    };
    for (Index b = counter++, next = 0; b < blocks; b = next) {
      next = counter++;
      bool fits = true;
      for (Index l = 0; l < n && fits; l += kDepth) {
        const MatrixView<const S> part = cut(b, l);
        const Index padded = round_up(part.rows(), kGroups * kLines);
        fits = Left ? convert_rows(part, padded, tiles) : convert_columns(part, padded, tiles);
        Prefetch ahead;
        if (l + kDepth < n)
          ahead = prefetch_of(cut(b, l + kDepth));
        else if (next < blocks)
          ahead = prefetch_of(cut(next, 0));
        asm volatile("" ::: "memory");  // The tiles are loaded behind the compiler's back.
        if (fits)
          block_products<Left>(tiles, padded / kLines, panel, l / kStepDepth,
                               (part.cols() + kStepDepth - 1) / kStepDepth, l > 0, sums.data(), ahead);
      }
      const Index rows = std::min(height, m - b * height);
      if (fits) store<Left>(alpha, sums.data(), panel, beta, C.middle_rows(b * height, rows));
      refused[static_cast<std::size_t>(b)] = !fits;
    }
    release_tiles();
  }
  return refused;
}

bool ask() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool tiles = (d >> 24 & 1) != 0 && (d >> 22 & 1) != 0;
  if (!tiles || !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
    return false;
  const char* wanted = std::getenv("LOWRANK_AMX");
  if (wanted != nullptr && std::strcmp(wanted, "0") == 0) return false;
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

std::atomic<bool> enabled{true};

}  // namespace

bool available() {
  static const bool there = ask();
  return there && enabled;
}
void enable(bool on) { enabled = on; }

template <Real S>
std::vector<Rows> multiply(float alpha, MatrixView<const S> A, MatrixView<const float> X, float beta,
                           MatrixView<float> C) {
  if (C.empty()) return {};
  const std::vector<float> largest = largest_entries(X);
  if (largest.empty()) return {{0, A.rows()}};
  const bool left = A.order() == Order::row_major;
  const Index height = std::clamp(round_up((A.rows() + 15) / 16, kGroups * kLines), Index{64}, Index{256});
  std::vector<char> refused;
  for (Index j = 0; j < X.cols(); j += kColumns) {
    const Index count = std::min(kColumns, X.cols() - j);
    Panel panel = packed_panel(X.middle_cols(j, count), largest.data() + j, left);
    const MatrixView<float> part = C.middle_cols(j, count);
    refused =
        left ? sweep<true>(alpha, A, panel, beta, part, height) : sweep<false>(alpha, A, panel, beta, part, height);
  }
  std::vector<Rows> runs;
  for (Index b = 0; b < static_cast<Index>(refused.size()); ++b) {
    if (refused[static_cast<std::size_t>(b)] == 0) continue;
    const Index first = b * height, count = std::min(height, A.rows() - first);
    if (!runs.empty() && runs.back().first + runs.back().count == first)
      runs.back().count += count;
    else
      runs.push_back({first, count});
  }
  return runs;
}

}  // namespace lowrank::amx

#else

namespace lowrank::amx {

bool available() { return false; }
void enable(bool) {}
template <Real S>
std::vector<Rows> multiply(float, MatrixView<const S> A, MatrixView<const float>, float, MatrixView<float>) {
  return {{0, A.rows()}};
}

}  // namespace lowrank::amx

#endif

namespace lowrank::amx {

bool suits(MatrixView<const float> A, MatrixView<const float> X) {
  // The measured crossover: of a matrix by rows the fused multiply-adds make as much.
  if (A.order() == Order::row_major || A.rows() < 192 || A.cols() < 192 || X.cols() < 32) return false;
  return available();
}

template std::vector<Rows> multiply(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template std::vector<Rows> multiply(float, MatrixView<const double>, MatrixView<const float>, float, MatrixView<float>);

}  // namespace lowrank::amx
