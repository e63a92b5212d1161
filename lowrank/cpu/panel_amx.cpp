#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <lowrank/cpu/amx_tiles.hpp>
#include <lowrank/cpu/panel_amx.hpp>
#include <lowrank/cpu/prefetch.hpp>
#include <lowrank/cpu/round_up.hpp>

#ifdef LOWRANK_HAS_AMX
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

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

LOWRANK_AMX void configure_tiles() {
  // In memory for good: the compiler does not see that the instruction reads all of it.
  static constexpr TileConfig config;
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
  ahead.spread(kernels * steps);
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

/// Rows of A by blocks, handed out in turn; the block after the present one is known early, to be fetched ahead.
template <bool Left>
std::vector<char> sweep(float alpha, MatrixView<const float> A, Panel& panel, float beta, MatrixView<float> C,
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
        const MatrixView<const float> part = cut(b, l);
        const Index padded = round_up(part.rows(), kGroups * kLines);
        fits = Left ? convert_rows(part, padded, tiles) : convert_columns(part, padded, tiles);
        Prefetch ahead;
        if (l + kDepth < n)
          ahead = Prefetch(cut(b, l + kDepth));
        else if (next < blocks)
          ahead = Prefetch(cut(next, 0));
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

std::vector<Rows> multiply(float alpha, MatrixView<const float> A, MatrixView<const float> X, float beta,
                           MatrixView<float> C) {
  if (C.empty()) return {};
  if (A.cols() == 0) return {{0, A.rows()}};
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
std::vector<Rows> multiply(float, MatrixView<const float> A, MatrixView<const float>, float, MatrixView<float>) {
  return {{0, A.rows()}};
}

}  // namespace lowrank::amx

#endif

namespace lowrank::amx {

bool suits(MatrixView<const float> A, MatrixView<const float> X) {
  // The measured crossover: of a matrix by rows the fused multiply-adds make as much.
  if (A.order() == Order::row_major || A.rows() < 192 || A.cols() < 192 || X.cols() <= 32) return false;
  return available();
}

}  // namespace lowrank::amx
