#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/panel_bfloat16.hpp>
#include <skip.hpp>
#include <vector>

using namespace lowrank;

#define NEEDS_BFLOAT16 \
  if (!bfloat16::has(bfloat16::Unit::pairs)) SKIP("this processor has no instructions for bfloat16")

namespace {

/// To 8 bits, to the nearest, ties to even.
double rounded(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<double>(std::bit_cast<float>((bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U));
}

/// Every sum against one in double of the rounded entries: float's rounding of a sum of n terms, nothing more.
void check_rounded_product(bfloat16::Unit unit, Index m, Index n, Index k, Order order_a, Order order) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  Matrix<double> a(m + 3, n + 3, order_a);
  Matrix<float> x(n + 2, k + 2, order), c(m + 5, k + 5, order);
  fill_normal<double>(a, 3, 1);
  fill_normal<float>(x, 3, 2);
  fill<float>(c, std::numeric_limits<float>::quiet_NaN());
  const MatrixView<const double> A = a.view().block(1, 2, m, n);
  const MatrixView<const float> X = x.view().block(2, 1, n, k);
  const MatrixView<float> C = c.view().block(0, 0, m, k);
  bfloat16::multiply(unit, A, X, C);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < m; ++i) {
      double sum = 0, size = 0;
      for (Index l = 0; l < n; ++l) {
        const double term = rounded(A(i, l)) * rounded(static_cast<double>(X(l, j)));
        sum += term;
        size += std::abs(term);
      }
      const double bound = 0x1p-23 * size * std::sqrt(static_cast<double>(n));
      if (!(std::abs(static_cast<double>(C(i, j)) - sum) <= bound))
        FAIL(i << ", " << j << ": " << C(i, j) << " for " << sum);
    }
  for (Index j = 0; j < c.cols(); ++j)
    for (Index i = 0; i < c.rows(); ++i)
      if ((i >= m || j >= k) && !std::isnan(c(i, j))) FAIL(i << ", " << j << " was touched");
}

/// `work` with each unit that the processor has.
template <class Work>
void with_units(const Work& work) {
  for (const bfloat16::Unit unit : {bfloat16::Unit::pairs, bfloat16::Unit::tiles})
    if (bfloat16::has(unit)) work(unit);
}

}  // namespace

TEST_CASE("panel_bfloat16: every remainder, order and leading dimension against sums of rounded entries") {
  NEEDS_BFLOAT16;
  const std::vector<std::pair<Index, Index>> sizes = {{1, 1},   {15, 33},  {24, 64},   {25, 63},
                                                      {64, 65}, {97, 520}, {401, 257}, {1030, 131}};
  with_units([&](bfloat16::Unit unit) {
    for (const auto& [m, n] : sizes)
      for (const Index k : {1, 5, 6, 7, 16, 17, 31, 48, 65, 100, 130})
        for (const Order order_a : {Order::col_major, Order::row_major})
          for (const Order order : {Order::col_major, Order::row_major})
            check_rounded_product(unit, m, n, k, order_a, order);
  });
}

TEST_CASE("panel_bfloat16: a sum of nothing is nothing") {
  NEEDS_BFLOAT16;
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Matrix<double> A(300, 0, order);
    const Matrix<float> X(0, 5);
    Matrix<float> C(300, 5);
    with_units([&](bfloat16::Unit unit) {
      fill<float>(C, 3);
      bfloat16::multiply(unit, A, X, C);
      CHECK(frobenius_norm<float>(C) == 0);
    });
  }
}

TEST_CASE("panel_bfloat16: the threads do not show") {
  NEEDS_BFLOAT16;
  for (const Order order : {Order::row_major, Order::col_major}) {
    Matrix<double> A(1500, 300, order);
    Matrix<float> X(300, 20), C(1500, 20), D(1500, 20);
    fill_normal<double>(A, 1, 1);
    fill_normal<float>(X, 1, 2);
    with_units([&](bfloat16::Unit unit) {
      set_threads(1);
      bfloat16::multiply(unit, A, X, C);
      set_threads(2);
      bfloat16::multiply(unit, A, X, D);
      set_threads(0);
      for (Index j = 0; j < 20; ++j)
        for (Index i = 0; i < 1500; ++i) REQUIRE(C(i, j) == D(i, j));
    });
  }
}

TEST_CASE("panel_bfloat16: where it is switched off there is no such product, and one is not made silently") {
  const bool there = multiplies_rounded<double>(host_device(), Rounding::to_bfloat16);
  CHECK(there == bfloat16::faster_unit().has_value());
  bfloat16::enable(false);
  const Matrix<double> A(5, 4);
  const Matrix<float> B(5, 4), X(4, 2);
  Matrix<float> C(5, 2);
  CHECK(!multiplies_rounded<double>(host_device(), Rounding::to_bfloat16));
  CHECK_THROWS_AS(multiply_rounded<double>(Rounding::to_bfloat16, A, X, C), std::logic_error);
  bfloat16::enable(true);
  // Nor of a float matrix.
  CHECK_THROWS_AS(multiply_rounded<float>(Rounding::to_float, B, X, C), std::logic_error);
  CHECK_THROWS_AS(multiply_rounded<float>(Rounding::to_bfloat16, B, X, C), std::logic_error);
}
