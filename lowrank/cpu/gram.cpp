#include <algorithm>
#include <lowrank/cpu/gram.hpp>
#include <lowrank/cpu/round_up.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/gram.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <lowrank/cpu/lane_sums-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace lowrank::gram_kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// R columns against C columns: their sums fill 32 registers, or 16.
constexpr Index R = 4;
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr Index C = 6;
#else
constexpr Index C = 3;
#endif

/// G(0:R, 0:C) += XᵀY for R columns of X and C of Y, `rows` long.
HWY_INLINE void GramTile(const double* HWY_RESTRICT X, const double* HWY_RESTRICT Y, Index pitch, Index rows,
                         double* HWY_RESTRICT G, Index ldg) {
  const hn::ScalableTag<double> d;
  using Vector = hn::Vec<decltype(d)>;
  Vector sum[C][R];
#pragma GCC unroll 6
  for (Index c = 0; c < C; ++c)
#pragma GCC unroll 4
    for (Index r = 0; r < R; ++r) sum[c][r] = hn::Zero(d);
  for (Index i = 0; i < rows; i += static_cast<Index>(hn::Lanes(d))) {
    Vector x[R];
#pragma GCC unroll 4
    for (Index r = 0; r < R; ++r) x[r] = hn::LoadU(d, X + r * pitch + i);
#pragma GCC unroll 6
    for (Index c = 0; c < C; ++c) {
      const Vector y = hn::LoadU(d, Y + c * pitch + i);
#pragma GCC unroll 4
      for (Index r = 0; r < R; ++r) sum[c][r] = hn::MulAdd(x[r], y, sum[c][r]);
    }
  }
#pragma GCC unroll 6
  for (Index c = 0; c < C; ++c) {
    double sums[R];
    lowrank::HWY_NAMESPACE::SumsOfLanes(d, sum[c], sums);
    for (Index r = 0; r < R; ++r) G[r + c * ldg] += sums[r];
  }
}

/// The upper triangle of G += XᵀX; k is a multiple of R and C.
void AddGram(const double* X, Index pitch, Index rows, Index k, double* G) {
  for (Index j = 0; j < k; j += C)
    for (Index i = 0; i < j + C; i += R) GramTile(X + i * pitch, X + j * pitch, pitch, rows, G + i + j * k, k);
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank::gram_kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lowrank {
namespace gram_kernels {
HWY_EXPORT(AddGram);
void add_gram(const double* X, Index pitch, Index rows, Index k, double* G) {
  HWY_DYNAMIC_DISPATCH(AddGram)(X, pitch, rows, k, G);
}
}  // namespace gram_kernels

namespace {

/// Rows that are widened at once: in the second cache, with columns of a few KiB that are not a power of two apart.
constexpr Index most_rows = 512, most_entries = 1 << 16;
/// The widths and heights of the tiles divide it, and so do the vectors' lanes the rows.
constexpr Index tile = 12, most_lanes = 16;
/// As many sums, each of consecutive rows and by one thread, are added up at the end.
constexpr Index most_parts = 8;
constexpr Index worth_threads = 200'000;

/// Rows of X in double, by columns `pitch` apart; zeros below and beyond.
template <Real T>
void widen(MatrixView<const T> X, Index pitch, std::vector<double>& to) {
  const Index k = X.cols(), rows = X.rows();
  if (X.order() == Order::col_major) {
    for (Index j = 0; j < k; ++j) std::copy_n(X.data() + j * X.ld(), rows, to.data() + j * pitch);
  } else {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < k; ++j) to[static_cast<std::size_t>(j * pitch + i)] = X.data()[i * X.ld() + j];
  }
  for (Index j = 0; j < k; ++j) std::fill(to.data() + j * pitch + rows, to.data() + (j + 1) * pitch, 0.0);
}

}  // namespace

template <Real T>
Matrix<double> host_gram(MatrixView<const T> X) {
  const Index k = X.cols(), m = X.rows(), padded = round_up(k, tile);
  Matrix<double> G(k, k);
  if (X.empty()) {
    std::fill_n(G.data(), G.size(), 0.0);
    return G;
  }
  const Index height = std::clamp<Index>(most_entries / padded / most_lanes * most_lanes, most_lanes, most_rows);
  const Index pitch = round_up(std::min(height, m), most_lanes) + most_lanes;
  const Index cuts = (m + height - 1) / height, parts = std::min(most_parts, cuts);
  Matrix<double> sums(padded * padded, parts);
  std::fill_n(sums.data(), sums.size(), 0.0);
#pragma omp parallel if (m * k * k > worth_threads && parts > 1)
  {
    std::vector<double> wide(static_cast<std::size_t>(pitch * padded));
#pragma omp for schedule(dynamic, 1)
    for (Index p = 0; p < parts; ++p)
      for (Index cut = p * cuts / parts; cut < (p + 1) * cuts / parts; ++cut) {
        const Index rows = std::min(height, m - cut * height);
        widen<T>(X.middle_rows(cut * height, rows), pitch, wide);
        gram_kernels::add_gram(wide.data(), pitch, round_up(rows, most_lanes), padded, sums.data() + p * sums.ld());
      }
  }
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i <= j; ++i) {
      double sum = 0;
      for (Index p = 0; p < parts; ++p) sum += sums(i + j * padded, p);
      G(i, j) = G(j, i) = sum;
    }
  return G;
}

template Matrix<double> host_gram<float>(MatrixView<const float>);
template Matrix<double> host_gram<double>(MatrixView<const double>);

}  // namespace lowrank
#endif  // HWY_ONCE
