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

// Sum `c` += a·x, in the order that A's side asks for. Tile numbers are constants.
#define LOWRANK_DP(c, a, x)  \
  if constexpr (Left)        \
    _tile_dpbf16ps(c, a, x); \
  else                       \
    _tile_dpbf16ps(c, x, a)
#define LOWRANK_LOAD(tile, from, plane) _tile_loadd(tile, (from) + (plane)*kTileBytes, 64)
#define LOWRANK_SUM(tile)              \
  if (add)                             \
    _tile_loadd(tile, sums[tile], 64); \
  else                                 \
    _tile_zero(tile)
#define LOWRANK_SUMS() \
  LOWRANK_SUM(0);      \
  LOWRANK_SUM(1);      \
  LOWRANK_SUM(2);      \
  LOWRANK_SUM(3)
#define LOWRANK_STORE()         \
  _tile_stored(0, sums[0], 64); \
  _tile_stored(1, sums[1], 64); \
  _tile_stored(2, sums[2], 64); \
  _tile_stored(3, sums[3], 64)
#define LOWRANK_FOUR() \
  LOWRANK_DP(0, 4, 6); \
  LOWRANK_DP(1, 4, 7); \
  LOWRANK_DP(2, 5, 6); \
  LOWRANK_DP(3, 5, 7); \
  ahead.some()

/// Two groups of A, a and `next` further, by two of X: sums (0,0), (0,1), (1,0), (1,1), set or added to. The steps of A
/// lie behind each other, those of X `x_step` apart. Small products first.
template <int P, bool Left>
LOWRANK_AMX void kernel_2x2(const char* a, Index next, const char* x, Index x_step, Index steps, bool add,
                            float* const* sums, Prefetch& ahead) {
  LOWRANK_SUMS();
  for (Index s = 0; s < steps; ++s, a += step_bytes(P), x += x_step) {
    const char *a1 = a + next, *x1 = x + step_bytes(P);
    if constexpr (P == 3) {
      LOWRANK_LOAD(4, a, 0);
      LOWRANK_LOAD(6, x, 2);
      LOWRANK_LOAD(7, x1, 2);
      LOWRANK_LOAD(5, a1, 0);
      LOWRANK_FOUR();
      LOWRANK_LOAD(6, x, 1);
      LOWRANK_LOAD(7, x1, 1);
      LOWRANK_FOUR();
      LOWRANK_LOAD(4, a, 1);
      LOWRANK_LOAD(5, a1, 1);
      LOWRANK_FOUR();
      LOWRANK_LOAD(6, x, 0);
      LOWRANK_LOAD(7, x1, 0);
      LOWRANK_FOUR();
      LOWRANK_LOAD(4, a, 2);
      LOWRANK_LOAD(5, a1, 2);
      LOWRANK_FOUR();
    }
    LOWRANK_LOAD(4, a, 0);
    LOWRANK_LOAD(5, a1, 0);
    if constexpr (P == 1) {
      LOWRANK_LOAD(6, x, 0);
      LOWRANK_LOAD(7, x1, 0);
    }
    LOWRANK_FOUR();
  }
  LOWRANK_STORE();
}

/// Four groups of A, `next` apart, by one of X.
template <int P, bool Left>
LOWRANK_AMX void kernel_4x1(const char* a, Index next, const char* x, Index x_step, Index steps, bool add,
                            float* const* sums, Prefetch& ahead) {
  LOWRANK_SUMS();
  for (Index s = 0; s < steps; ++s, a += step_bytes(P), x += x_step) {
    LOWRANK_LOAD(4, x, 0);
    if constexpr (P == 3) {
      LOWRANK_LOAD(5, x, 1);
      LOWRANK_LOAD(6, x, 2);
#define LOWRANK_ONE(c)              \
  LOWRANK_LOAD(7, a + (c)*next, 2); \
  LOWRANK_DP(c, 7, 4);              \
  LOWRANK_LOAD(7, a + (c)*next, 1); \
  LOWRANK_DP(c, 7, 5);              \
  LOWRANK_DP(c, 7, 4);              \
  LOWRANK_LOAD(7, a + (c)*next, 0); \
  LOWRANK_DP(c, 7, 6);              \
  LOWRANK_DP(c, 7, 5);              \
  LOWRANK_DP(c, 7, 4);              \
  ahead.some()
      LOWRANK_ONE(0);
      LOWRANK_ONE(1);
      LOWRANK_ONE(2);
      LOWRANK_ONE(3);
    } else {
      LOWRANK_LOAD(5, a, 0);
      LOWRANK_DP(0, 5, 4);
      LOWRANK_LOAD(6, a + next, 0);
      LOWRANK_DP(1, 6, 4);
      LOWRANK_LOAD(7, a + 2 * next, 0);
      LOWRANK_DP(2, 7, 4);
      LOWRANK_LOAD(5, a + 3 * next, 0);
      LOWRANK_DP(3, 5, 4);
      ahead.some();
    }
  }
  LOWRANK_STORE();
}

/// The products of a converted block of `groups` groups with the steps of the panel from `first` on, set or added to
/// tile (g, h) of sums, at (g·panel.groups + h)·kTileFloats.
template <int P, bool Left>
void block_products(const char* a, Index groups, Panel& panel, Index first, Index steps, bool add, float* sums,
                    Prefetch& ahead) {
  const auto tile = [&](Index g, Index h) { return sums + (g * panel.groups + h) * kTileFloats; };
  const Index next = steps * step_bytes(P), x_step = panel.groups * step_bytes(P), last = panel.groups - 1;
  // Calls of ahead.some(): six or one in a step of two groups of A by two of X, four or one of four by one.
  const Index of_pairs = groups / 2 * (panel.groups / 2) * (P == 3 ? 6 : 1), of_last = groups / 4 * (P == 3 ? 4 : 1);
  ahead.spread(steps * (of_pairs + panel.groups % 2 * of_last));
  asm volatile("" ::: "memory");  // The tiles are loaded behind the compiler's back.
  for (Index h = 0; h < last; h += 2)
    for (Index g = 0; g < groups; g += 2) {
      float* const to[4] = {tile(g, h), tile(g, h + 1), tile(g + 1, h), tile(g + 1, h + 1)};
      kernel_2x2<P, Left>(a + g * next, next, panel.at(h, first), x_step, steps, add, to, ahead);
    }
  if (panel.groups % 2 == 1)
    for (Index g = 0; g < groups; g += 4) {
      float* const to[4] = {tile(g, last), tile(g + 1, last), tile(g + 2, last), tile(g + 3, last)};
      kernel_4x1<P, Left>(a + g * next, next, panel.at(last, first), x_step, steps, add, to, ahead);
    }
  asm volatile("" ::: "memory");
}

LOWRANK_AMX void add_to(float* totals, const float* sums, Index count) {
  for (Index i = 0; i < count; i += 16)
    _mm512_store_ps(totals + i, _mm512_add_ps(_mm512_load_ps(totals + i), _mm512_load_ps(sums + i)));
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

/// Depth over which a sum stays in a tile before it is added to the result. Longer ones lose accuracy.
constexpr Index kChain = 512;
/// What of A is converted together, by rows (left) or by columns: long runs in memory, not too many of them, since
/// they may lie a power of two apart and fight for the same cache lines.
constexpr Index block_rows(bool left) { return left ? 64 : 128; }
constexpr Index block_depth(bool left) { return left ? 256 : 64; }

/// Whether blocks of so many rows, from the first one on, held entries that the unit cannot take.
using Refused = std::vector<char>;

/// Rows of A in turn, `height` of them at a time: block by block they are converted and meet all of the panel while
/// the caches hold both. The block after the present one is fetched ahead. Refused blocks leave C as it was.
template <int P, bool Left, Real S>
Refused sweep(float alpha, MatrixView<const S> A, Panel& panel, float beta, MatrixView<float> C, Index height) {
  constexpr Index high = block_rows(Left), depth = block_depth(Left), most_steps = depth / kStepDepth;
  const Index m = A.rows(), n = A.cols(), turns = (m + height - 1) / height, width = panel.groups * kLines;
  Refused refused(static_cast<std::size_t>((m + high - 1) / high), 0);
  std::atomic<Index> counter{0};
#pragma omp parallel
  {
    Matrix<float> planes(high / kLines * most_steps * step_bytes(P) / 4, 1);
    Matrix<float> sums(height * width, 1), totals(height * width, 1);
    char* const tiles = reinterpret_cast<char*>(planes.data());
    configure_tiles();
    const auto block = [&](Index i, Index l) { return A.block(i, l, std::min(high, m - i), std::min(depth, n - l)); };
    for (Index turn = counter++, next = 0; turn < turns; turn = next) {
      next = counter++;
      const Index first = turn * height, end = std::min(m, first + height);
      std::fill_n(totals.data(), totals.size(), 0.0F);
      for (Index l = 0; l < n; l += depth) {
        const bool add = l % kChain != 0, ends = (l + depth) % kChain == 0 || l + depth >= n;
        for (Index i = first; i < end; i += high) {
          char& refuse = refused[static_cast<std::size_t>(i / high)];
          if (refuse != 0) continue;
          const MatrixView<const S> part = block(i, l);
          const Index groups = round_up(part.rows(), kGroups * kLines) / kLines;
          const Index steps = (part.cols() + kStepDepth - 1) / kStepDepth;
          if (!convert<P>(part, groups, steps, tiles) && P == 3) {
            refuse = 1;
            continue;
          }
          Prefetch ahead;
          if (i + high < end)
            ahead = Prefetch(block(i + high, l));
          else if (l + depth < n)
            ahead = Prefetch(block(first, l + depth));
          else if (next < turns)
            ahead = Prefetch(block(next * height, 0));
          float* const here = sums.data() + (i - first) * width;
          block_products<P, Left>(tiles, groups, panel, l / kStepDepth, steps, add, here, ahead);
          if (ends) add_to(totals.data() + (i - first) * width, here, groups * kLines * width);
        }
      }
      for (Index i = first; i < end; i += high)
        if (refused[static_cast<std::size_t>(i / high)] == 0)
          store<Left>(alpha, totals.data() + (i - first) * width, panel, beta, C.middle_rows(i, std::min(high, m - i)));
    }
    release_tiles();
  }
  return refused;
}

/// For up to kColumns columns of X, of which `largest` are the largest entries if there are three planes.
template <int P, Real S>
Refused multiply_part(float alpha, MatrixView<const S> A, MatrixView<const float> X, const float* largest, float beta,
                      MatrixView<float> C) {
  constexpr Index most = 256, step = 128;
  // So many turns that the threads end together.
  const Index m = A.rows(), turns = round_up((m + most - 1) / most, threads());
  const Index height = round_up((m + turns - 1) / turns, step);
  const bool left = A.order() == Order::row_major;
  Panel panel = packed_panel<P>(X, largest, left);
  return left ? sweep<P, true>(alpha, A, panel, beta, C, height) : sweep<P, false>(alpha, A, panel, beta, C, height);
}

bool ask() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool tiles = (d >> 24 & 1) != 0 && (d >> 22 & 1) != 0;
  if (!tiles || !__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512f") ||
      !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
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
  if (A.cols() == 0) return {{0, A.rows()}};
  const std::vector<float> largest = largest_entries(X);
  if (largest.empty()) return {{0, A.rows()}};
  Refused refused;
  for (Index j = 0; j < X.cols(); j += kColumns) {
    const Index count = std::min(kColumns, X.cols() - j);
    refused = multiply_part<3>(alpha, A, X.middle_cols(j, count), largest.data() + j, beta, C.middle_cols(j, count));
  }
  const Index high = block_rows(A.order() == Order::row_major);
  std::vector<Rows> runs;
  for (Index b = 0; b < static_cast<Index>(refused.size()); ++b) {
    if (refused[static_cast<std::size_t>(b)] == 0) continue;
    const Index first = b * high, count = std::min(high, A.rows() - first);
    if (!runs.empty() && runs.back().first + runs.back().count == first)
      runs.back().count += count;
    else
      runs.push_back({first, count});
  }
  return runs;
}

void multiply_rounded(MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C) {
  for (Index j = 0; j < X.cols(); j += kColumns) {
    const Index count = std::min(kColumns, X.cols() - j);
    multiply_part<1>(1, A, X.middle_cols(j, count), nullptr, 0, C.middle_cols(j, count));
  }
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
void multiply_rounded(MatrixView<const double>, MatrixView<const float>, MatrixView<float>) {}

}  // namespace lowrank::amx

#endif

namespace lowrank::amx {

template std::vector<Rows> multiply(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template std::vector<Rows> multiply(float, MatrixView<const double>, MatrixView<const float>, float, MatrixView<float>);

template <Real S>
bool suits(MatrixView<const S> A, MatrixView<const float> X) {
  // The measured crossovers; the fused multiply-adds make more up to there, but with entries of double by columns,
  // which they meet as a copy.
  const Index least = A.order() == Order::row_major ? 65 : std::is_same_v<S, float> ? 41 : 25;
  return A.rows() >= 192 && A.cols() >= 192 && X.cols() >= least && available();
}
template bool suits(MatrixView<const float>, MatrixView<const float>);
template bool suits(MatrixView<const double>, MatrixView<const float>);

}  // namespace lowrank::amx
