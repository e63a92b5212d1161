#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_amx.hpp>
#include <lowrank/cpu/panel_bfloat16.hpp>
#include <lowrank/cpu/panel_groups.hpp>
#include <lowrank/cpu/panel_tile.hpp>
#include <lowrank/cpu/prefetch.hpp>
#include <lowrank/cpu/round_up.hpp>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#ifndef __clang__
// GCC's own headers use variables that are undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define LOWRANK_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

namespace lowrank::bfloat16 {
namespace {

/// Two bfloat16 that belong to neighbouring places of the depth.
using Pair = std::uint32_t;
/// Pairs, or floats, of a vector.
constexpr Index kLanes = 16;
/// Sums that stay in registers: a group of V vectors goes with kSums/V broadcast lines.
constexpr Index kSums = 24;
constexpr Index kLine = 64 / sizeof(Pair);
constexpr Index kMostVectors = 4;

/// sums (kSums/V lines of V vectors, `pitch` apart, aligned) += b·v for `pairs` pairs of the depth: lines of b are
/// b_line apart, v holds V vectors for each pair without gaps.
template <Index V>
LOWRANK_BF16 void kernel(const Pair* b, Index b_line, const Pair* v, Index pairs, float* sums, Index pitch,
                         Prefetch& ahead) {
  constexpr Index R = kSums / V;
  __m512 sum[R][V];
#pragma GCC unroll 24
  for (Index i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (Index j = 0; j < V; ++j) sum[i][j] = _mm512_setzero_ps();
  for (Index l = 0; l < pairs; ++l) {
    __m512bh vector[V];
#pragma GCC unroll 4
    for (Index j = 0; j < V; ++j) vector[j] = (__m512bh)_mm512_load_si512(v + (l * V + j) * kLanes);
    ahead.some();
#pragma GCC unroll 24
    for (Index i = 0; i < R; ++i) {
      const __m512bh entry = (__m512bh)_mm512_set1_epi32(static_cast<int>(b[i * b_line + l]));
#pragma GCC unroll 4
      for (Index j = 0; j < V; ++j) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], entry, vector[j]);
    }
  }
#pragma GCC unroll 24
  for (Index i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (Index j = 0; j < V; ++j) {
      float* at = sums + i * pitch + j * kLanes;
      _mm512_store_ps(at, _mm512_add_ps(_mm512_load_ps(at), sum[i][j]));
    }
}

void kernel_of(Index vectors, const Pair* b, Index b_line, const Pair* v, Index pairs, float* sums, Index pitch,
               Prefetch& ahead) {
  switch (vectors) {
    case 1:
      return kernel<1>(b, b_line, v, pairs, sums, pitch, ahead);
    case 2:
      return kernel<2>(b, b_line, v, pairs, sums, pitch, ahead);
    case 3:
      return kernel<3>(b, b_line, v, pairs, sums, pitch, ahead);
    default:
      return kernel<4>(b, b_line, v, pairs, sums, pitch, ahead);
  }
}

/// 16 entries as floats, those not in the mask as zeros.
LOWRANK_BF16 inline __m512 load(const float* from, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, from); }
LOWRANK_BF16 inline __m512 load(const double* from, __mmask16 mask) {
  const auto low = static_cast<__mmask8>(mask), high = static_cast<__mmask8>(mask >> 8);
  const __m256 a = _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(low, from));
  const __m256 b = high == 0 ? _mm256_setzero_ps() : _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(high, from + 8));
  return _mm512_insertf32x8(_mm512_castps256_ps512(a), b, 1);
}
LOWRANK_BF16 inline __mmask16 first_lanes(Index count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : (1U << std::max<Index>(count, 0)) - 1U);
}

/// Lines (rows by rows) as pairs along the depth: pair p of line i at to[i·to_line + p].
template <Real S>
LOWRANK_BF16 void round_lines(const S* from, Index ld, Index lines, Index depth, Pair* to, Index to_line) {
  for (Index i = 0; i < lines; ++i) {
    const S* line = from + i * ld;
    Pair* out = to + i * to_line;
    for (Index l = 0; l < depth; l += 2 * kLanes) {
      const __m512 low = load(line + l, first_lanes(depth - l));
      const __mmask16 rest = first_lanes(depth - l - kLanes);
      const __m512 high = rest == 0 ? _mm512_setzero_ps() : load(line + l + kLanes, rest);
      _mm512_store_si512(out + l / 2, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
  }
}

/// Lines along the depth (columns by columns), two at a time as pairs: those of lines 2p and 2p + 1 at
/// to[p·to_pair...], `length` of them in whole vectors.
template <Real S>
LOWRANK_BF16 void round_across(const S* from, Index ld, Index depth, Index length, Pair* to, Index to_pair) {
  alignas(64) std::uint16_t order[32];
  for (std::uint16_t i = 0; i < 16; ++i) order[2 * i] = i, order[2 * i + 1] = static_cast<std::uint16_t>(i + 16);
  const __m512i interleaved = _mm512_load_si512(order);
  for (Index l = 0; l < depth; l += 2)
    for (Index i = 0; i < length; i += kLanes) {
      const __mmask16 mask = first_lanes(length - i);
      const __m512 first = load(from + l * ld + i, mask);
      const __m512 second = l + 1 < depth ? load(from + (l + 1) * ld + i, mask) : _mm512_setzero_ps();
      const auto both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
      _mm512_store_si512(to + l / 2 * to_pair + i, _mm512_permutexvar_epi16(interleaved, both));
    }
}

/// Rows that a thread does at a time: at most `most`, whole `steps`, and so many blocks that the threads end together.
Index block_rows(Index m, Index most, Index step) {
  const Index team = threads(), blocks = round_up((m + most - 1) / most, team);
  return round_up((m + blocks - 1) / blocks, step);
}

/// A by rows: broadcast pairs of A's rows meet vectors along the rows of X.
void multiply_by_rows(MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C) {
  const Index m = A.rows(), n = A.cols(), k = X.cols();
  constexpr Index most_depth = 256, most_pairs = most_depth / 2;
  const panel::ColumnGroups columns(k, kLanes, kMostVectors);
  const Index width = columns.width, pairs = (n + 1) / 2;
  // Pairs of X's rows, group by group.
  Matrix<float> packed(checked_product(pairs, width), 1);
  Pair* const x = reinterpret_cast<Pair*>(packed.data());
#pragma omp parallel
  {
    Matrix<float> rows(kLanes * 2, width);
#pragma omp for schedule(static)
    for (Index p0 = 0; p0 < pairs; p0 += kLanes) {
      const Index depth = std::min(2 * kLanes, n - 2 * p0);
      // Rows of X, laid out by rows.
      std::fill_n(rows.data(), rows.size(), 0.0F);
      for (Index j = 0; j < k; ++j)
        for (Index l = 0; l < depth; ++l) rows.data()[l * width + j] = X(2 * p0 + l, j);
      for (Index g = 0; g < columns.groups; ++g) {
        const Index length = columns.count(g) * kLanes, first = columns.first(g) * kLanes;
        round_across<float>(rows.data() + first, width, depth, length, x + pairs * first + p0 * length, length);
      }
    }
  }
  const Index height = block_rows(m, std::clamp<Index>(4 * width, 96, 480), kSums);
#pragma omp parallel
  {
    constexpr Index line = most_pairs + kLine;
    Matrix<float> strip(kSums * line, 1), sums(height * width, 1);
    Pair* const a = reinterpret_cast<Pair*>(strip.data());
#pragma omp for schedule(dynamic)
    for (Index i0 = 0; i0 < m; i0 += height) {
      const Index here = std::min(height, m - i0);
      std::fill_n(sums.data(), sums.size(), 0.0F);
      for (Index l0 = 0; l0 < n; l0 += most_depth) {
        const Index depth = std::min(most_depth, n - l0), deep = (depth + 1) / 2;
        for (Index i = 0; i < here; i += kSums) {
          const Index lines = std::min(kSums, here - i);
          round_lines<double>(A.data() + (i0 + i) * A.ld() + l0, A.ld(), lines, depth, a, line);
          Prefetch ahead;
          if (i + kSums < here)
            ahead = Prefetch(A.block(i0 + i + kSums, l0, std::min(kSums, here - i - kSums), depth));
          else if (l0 + depth < n)
            ahead = Prefetch(A.block(i0, l0 + depth, std::min(kSums, here), std::min(most_depth, n - l0 - depth)));
          ahead.spread(deep * columns.vectors);
          for (Index g = 0; g < columns.groups; ++g) {
            const Index vectors = columns.count(g), first = columns.first(g) * kLanes;
            const Pair* v = x + pairs * first + l0 / 2 * vectors * kLanes;
            for (Index r = 0; r < kSums; r += kSums / vectors)
              kernel_of(vectors, a + r * line, line, v, deep, sums.data() + (i + r) * width + first, width, ahead);
          }
        }
      }
      const MatrixView<const float> tile(sums.data(), here, k, width, Order::row_major);
      panel::store_tile<float>(1, tile, 0, C.middle_rows(i0, here));
    }
  }
}

/// A by columns: vectors down the columns of A meet broadcast pairs of the columns of X.
void multiply_by_columns(MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C) {
  const Index m = A.rows(), n = A.cols(), k = X.cols();
  constexpr Index most_depth = 64, most_pairs = most_depth / 2, vectors = kMostVectors;
  constexpr Index together = kSums / vectors, length = vectors * kLanes;  // Columns of X, rows of A.
  const Index groups = (k + together - 1) / together, width = groups * together;
  const Index blocks_deep = (n + most_depth - 1) / most_depth;
  // Columns of X, a block of the depth after the other.
  Matrix<float> packed(checked_product(blocks_deep * most_pairs, width), 1);
  Pair* const x = reinterpret_cast<Pair*>(packed.data());
#pragma omp parallel
  {
    Matrix<float> columns(most_depth, width);
#pragma omp for schedule(static)
    for (Index b = 0; b < blocks_deep; ++b) {
      const Index l0 = b * most_depth, depth = std::min(most_depth, n - l0);
      std::fill_n(columns.data(), columns.size(), 0.0F);
      for (Index j = 0; j < k; ++j)
        for (Index l = 0; l < depth; ++l) columns.data()[j * most_depth + l] = X(l0 + l, j);
      round_lines<float>(columns.data(), most_depth, width, most_depth, x + b * most_pairs * width, most_pairs);
    }
  }
  const Index height = block_rows(m, 512, length);
#pragma omp parallel
  {
    const Index pitch = height + kLine;
    Matrix<float> rounded(height * most_pairs, 1), sums(pitch, width);
    Pair* const a = reinterpret_cast<Pair*>(rounded.data());
#pragma omp for schedule(dynamic)
    for (Index i0 = 0; i0 < m; i0 += height) {
      const Index here = std::min(height, m - i0);
      std::fill_n(sums.data(), sums.size(), 0.0F);
      for (Index b = 0; b < blocks_deep; ++b) {
        const Index l0 = b * most_depth, depth = std::min(most_depth, n - l0), deep = (depth + 1) / 2;
        for (Index i = 0; i < here; i += length) {
          round_across<double>(A.data() + i0 + i + l0 * A.ld(), A.ld(), depth, std::min(length, here - i), a, length);
          const Index coming = std::min(most_depth, n - l0 - depth);
          Prefetch ahead;
          if (coming > 0) ahead = Prefetch(A.block(i0 + i, l0 + depth, std::min(length, here - i), coming));
          ahead.spread(groups * deep);
          for (Index g = 0; g < groups; ++g)
            kernel_of(vectors, x + b * most_pairs * width + g * together * most_pairs, most_pairs, a, deep,
                      sums.data() + g * together * pitch + i, pitch, ahead);
        }
      }
      panel::store_tile<float>(1, sums.view().block(0, 0, here, k), 0, C.middle_rows(i0, here));
    }
  }
}

/// Whether there is the instruction set that multiplies pairs and, for both units, rounds to them.
bool ask() {
  const char* wanted = std::getenv("LOWRANK_BFLOAT16");
  if (wanted != nullptr && std::strcmp(wanted, "0") == 0) return false;
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

std::atomic<bool> enabled{true};

}  // namespace

bool has(Unit unit) {
  static const bool there = ask();
  return there && enabled && (unit == Unit::pairs || amx::available());
}
void enable(bool on) { enabled = on; }

std::optional<Unit> faster_unit() {
  if (has(Unit::tiles)) return Unit::tiles;
  if (has(Unit::pairs) && __builtin_cpu_is("amd")) return Unit::pairs;
  return std::nullopt;
}

void multiply(Unit unit, MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C) {
  if (C.empty()) return;
  if (unit == Unit::tiles)
    amx::multiply_rounded(A, X, C);
  else if (A.order() == Order::row_major)
    multiply_by_rows(A, X, C);
  else
    multiply_by_columns(A, X, C);
}

}  // namespace lowrank::bfloat16

#else

namespace lowrank::bfloat16 {

bool has(Unit) { return false; }
void enable(bool) {}
std::optional<Unit> faster_unit() { return std::nullopt; }
void multiply(Unit, MatrixView<const double>, MatrixView<const float>, MatrixView<float>) {}

}  // namespace lowrank::bfloat16

#endif
