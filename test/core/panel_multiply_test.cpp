#include <doctest/doctest.h>

#include <limits>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <plain_product.hpp>
#include <vector>

using namespace lowrank;

namespace {

template <Real T>
void check_products() {
  const std::vector<std::pair<Index, Index>> sizes = {{1, 1},    {23, 130},  {24, 128}, {25, 127},
                                                      {97, 300}, {200, 129}, {401, 260}};
  for (const auto& size : sizes)
    for (const Index k : {1, 3, 8, 15, 16, 17, 33, 48, 65, 100, 130})
      check_product<T>(size.first, size.second, k, {Order::col_major, Order::row_major}, panel_multiply<T, T>);
}

}  // namespace

TEST_CASE("panel_multiply: every remainder, order and leading dimension against plain sums, on every instruction set") {
  check_products<float>();
  check_products<double>();
}

TEST_CASE("panel_multiply: a matrix in double meets a panel in float as its rounding would") {
  for (const Order order : {Order::col_major, Order::row_major})
    for (const Index k : {7, 60, 200}) {
      // Whole numbers and what rounding takes away: the sums are exact in any order.
      Matrix<double> gapped(404, 263, order);
      Matrix<float> rounded(401, 260, order), X(260, k), C(401, k), expected(401, k);
      const MatrixView<double> A = gapped.view().block(1, 2, 401, 260);
      for (Index j = 0; j < 260; ++j) {
        for (Index i = 0; i < 401; ++i) {
          rounded(i, j) = static_cast<float>((7 * i + 13 * j) % 17 - 8);
          A(i, j) = static_cast<double>(rounded(i, j)) * (1 + 0x1p-26);
        }
        for (Index c = 0; c < k; ++c) X(j, c) = static_cast<float>((5 * j + 3 * c) % 9 - 4);
      }
      panel_multiply<double, float>(1, A, X, 0, C);
      panel_multiply<float, float>(1, rounded, X, 0, expected);
      for (Index j = 0; j < k; ++j)
        for (Index i = 0; i < 401; ++i) REQUIRE(C(i, j) == expected(i, j));
    }
}

TEST_CASE("panel_multiply: a sum of nothing is nothing") {
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Matrix<double> A(300, 0, order);
    const Matrix<float> X(0, 5);
    Matrix<float> C(300, 5);
    fill<float>(C, 3);
    multiply_rounded<double>(Rounding::to_float, A, X, C);
    CHECK(frobenius_norm<float>(C) == 0);
  }
}

TEST_CASE("panel_multiply: beta = 0 does not read C, and the threads do not show") {
  for (const Order order : {Order::row_major, Order::col_major}) {
    Matrix<float> A(500, 300, order), X(300, 20), C(500, 20), D(500, 20);
    fill_normal<float>(A, 1, 1);
    fill_normal<float>(X, 1, 2);
    fill<float>(C, std::numeric_limits<float>::quiet_NaN());
    set_threads(1);
    panel_multiply<float, float>(1, A, X, 0, C);
    set_threads(2);
    panel_multiply<float, float>(1, A, X, 0, D);
    set_threads(0);
    for (Index j = 0; j < 20; ++j)
      for (Index i = 0; i < 500; ++i) REQUIRE(C(i, j) == D(i, j));
  }
}
