#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <lowrank/cpu/panel_normal.hpp>
#include <plain_product.hpp>
#include <stdexcept>

using namespace lowrank;

namespace {

constexpr std::array<std::array<Index, 3>, 8> kNormalShapes = {
    {{1, 1, 1}, {47, 11, 3}, {48, 12, 8}, {49, 13, 16}, {1000, 25, 33}, {331, 100, 17}, {2500, 36, 50}, {60, 1030, 5}}};

/// Y and Z of A by rows, with gaps in every leading dimension, against products one after the other.
template <Real S, Real T>
void check_normal(Index m, Index n, Index k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const Gapped<S> A(m, n, Order::row_major, 5, 1);
  const Matrix<double> exact = to_double<S>(A.view);
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Gapped<T> X(n, k, order, 3, 2), Y(m, k, order, 2, 3), Z(n, k, order, 1, 4);
    panel_multiply_normal<S, T>(A.view, X.view, Y.view, Z.view);
    const Matrix<T> rounded = from_double<T>(exact, host_device());
    const PlainSums image(rounded.view(), MatrixView<const T>(X.view));
    CHECK(worst_ratio<T>(1, image, 0, Y.view, Y.view) <= 4);
    const PlainSums back(rounded.view().transposed(), MatrixView<const T>(Y.view));
    CHECK(worst_ratio<T>(1, back, 0, Z.view, Z.view) <= 4);
  }
}

template <Real S, Real T>
void check_normal_threads() {
  const Gapped<S> A(5003, 37, Order::row_major, 3, 1);
  const Gapped<T> X(37, 19, Order::col_major, 2, 2);
  Matrix<T> Y(5003, 19), Z(37, 19), expected_Y(5003, 19), expected_Z(37, 19);
  set_threads(1);
  panel_multiply_normal<S, T>(A.view, X.view, expected_Y, expected_Z);
  for (const int count : {2, 3, 8}) {
    set_threads(count);
    panel_multiply_normal<S, T>(A.view, X.view, Y, Z);
    for (Index j = 0; j < 19; ++j) {
      for (Index i = 0; i < 5003; ++i) REQUIRE(Y(i, j) == expected_Y(i, j));
      for (Index i = 0; i < 37; ++i) REQUIRE(Z(i, j) == expected_Z(i, j));
    }
  }
  set_threads(0);
}

}  // namespace

TEST_CASE("panel_multiply_normal: every remainder and leading dimension against plain sums, on every instruction set") {
  for_each_instruction_set([] {
    for (const auto& [m, n, k] : kNormalShapes) {
      check_normal<float, float>(m, n, k);
      check_normal<double, double>(m, n, k);
      check_normal<double, float>(m, n, k);
    }
  });
}

TEST_CASE("panel_multiply_normal: the threads do not show") {
  check_normal_threads<float, float>();
  check_normal_threads<double, double>();
  check_normal_threads<double, float>();
}

TEST_CASE("panel_multiply_normal: what is no number stays in its row and column") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Index row : {0, 130, 148}) {
    Matrix<float> A(149, 31, Order::row_major), X(31, 6), Y(149, 6), Z(31, 6);
    fill_normal<float>(A, 1, 1);
    fill_normal<float>(X, 1, 2);
    fill<float>(Y, nan);
    fill<float>(Z, nan);
    X(3, 5) = nan;
    panel_multiply_normal<float, float>(A, X, Y, Z);
    for (Index j = 0; j < 6; ++j) {
      for (Index i = 0; i < 149; ++i) REQUIRE(std::isfinite(Y(i, j)) == (j != 5));
      for (Index i = 0; i < 31; ++i) REQUIRE(std::isfinite(Z(i, j)) == (j != 5));
    }
    A(row, 30) = nan;
    panel_multiply_normal<float, float>(A, X, Y, Z);
    for (Index j = 0; j < 5; ++j)
      for (Index i = 0; i < 149; ++i) REQUIRE(std::isfinite(Y(i, j)) == (i != row));
  }
}

TEST_CASE("multiply_normal: by whatever way it goes, and refuses shapes that do not fit") {
  // Tall by rows in one sweep where there are kernels for it; the others by two products.
  for (const auto& [m, n, order] : {std::tuple<Index, Index, Order>{4000, 200, Order::row_major},
                                    {4000, 200, Order::col_major},
                                    {300, 200, Order::row_major},
                                    {0, 5, Order::row_major}}) {
    Matrix<double> A(m, n, order), X(n, 10), Y(m, 10), Z(n, 10), image(m, 10), back(n, 10);
    fill_normal<double>(A, 3, 1);
    fill_normal<double>(X, 3, 2);
    multiply<double>(1, A, X, 0, image);
    multiply<double>(1, A.view().transposed(), image, 0, back);
    multiply_normal<double>(A, X, Y, Z);
    const double size = frobenius_norm<double>(back);
    add<double>(-1, image, Y);
    add<double>(-1, back, Z);
    CHECK(frobenius_norm<double>(Y) <= 1e-12 * (1 + frobenius_norm<double>(image)));
    CHECK(frobenius_norm<double>(Z) <= 1e-12 * size);
    const bool tall_by_rows = m == 4000 && order == Order::row_major;
    CHECK(fuses_normal<double>(A, 10) == (tall_by_rows && panel_multiply_is_vectorized()));
    CHECK_THROWS_AS(multiply_normal<double>(A, X, Z, Z), std::invalid_argument);
    CHECK_THROWS_AS(multiply_normal<double>(A, X, Y, image), std::invalid_argument);
  }
}
