#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/panel_columns.hpp>
#include <plain_product.hpp>
#include <vector>

using namespace lowrank;
using panel::multiply_columns;

namespace {

template <Real T>
void check_few_columns() {
  const auto check = [](Index m, Index n, Index k) {
    check_product<T>(m, n, k, {Order::col_major}, multiply_columns<T, T>);
  };
  // Remainders of a vector and of a group of columns.
  for (const Index m : {1, 7, 16, 33})
    for (const Index n : {1, 3, 4, 9})
      for (const Index k : {1, 2, 3, 4, 5, 6, 7, 10, 17}) check(m, n, k);
  // Several blocks of rows, several sums for one entry.
  for (const Index k : {1, 4, 7}) {
    check(4999, 6, k);
    check(65, 1027, k);
  }
  check(700, 513, 40);
}

template <Real S, Real T>
void check_threads(Order order) {
  const Gapped<S> A(2531, 530, Order::col_major, 3, 1);
  const Gapped<T> X(530, 7, order, 2, 2);
  Matrix<T> expected(2531, 7, order), C(2531, 7, order);
  set_threads(1);
  multiply_columns<S, T>(2, A.view, X.view, 0, expected);
  for (const int count : {2, 3, 8}) {
    set_threads(count);
    multiply_columns<S, T>(2, A.view, X.view, 0, C);
    for (Index j = 0; j < 7; ++j)
      for (Index i = 0; i < 2531; ++i) REQUIRE(C(i, j) == expected(i, j));
  }
  set_threads(0);
}

/// One entry of A that is no number reaches its row, one of X its column, and no others.
template <Real S, Real T>
void check_not_finite(Index m, T value) {
  for_each_instruction_set([&] {
    for (const Index row : {Index{0}, m - 1}) {
      Matrix<S> A(m, 9);
      Matrix<T> X(9, 6), C(m, 6);
      fill_normal<S>(A, 1, 1);
      fill_normal<T>(X, 1, 2);
      fill<T>(C, std::numeric_limits<T>::quiet_NaN());
      A(row, 8) = static_cast<S>(value);
      X(3, 5) = value;
      multiply_columns<S, T>(1, A, X, 0, C);
      for (Index j = 0; j < 6; ++j)
        for (Index i = 0; i < m; ++i) REQUIRE(std::isfinite(C(i, j)) == (i != row && j != 5));
    }
  });
}

}  // namespace

TEST_CASE("multiply_columns: every remainder and leading dimension against plain sums, on every instruction set") {
  check_few_columns<float>();
  check_few_columns<double>();
}

TEST_CASE("multiply_columns: a matrix in double meets a panel in float as its rounding would") {
  for (const auto& [m, n, k] : {std::array<Index, 3>{1, 1, 1}, {1301, 9, 6}, {515, 520, 1}, {40, 7, 5}})
    for_each_instruction_set([&, m = m, n = n, k = k] {
      const Gapped<double> A(m, n, Order::col_major, 3, 1);
      Matrix<float> rounded(m, n), X(n, k), C(m, k), expected(m, k);
      for (Index j = 0; j < n; ++j)
        for (Index i = 0; i < m; ++i) rounded(i, j) = static_cast<float>(A.view(i, j));
      fill_normal<float>(X, 1, 2);
      multiply_columns<double, float>(1, A.view, X, 0, C);
      multiply_columns<float, float>(1, rounded, X, 0, expected);
      for (Index j = 0; j < k; ++j)
        for (Index i = 0; i < m; ++i) REQUIRE(C(i, j) == expected(i, j));
    });
}

TEST_CASE("multiply_columns: the threads do not show") {
  for (const Order order : {Order::col_major, Order::row_major}) {
    check_threads<float, float>(order);
    check_threads<double, double>(order);
    check_threads<double, float>(order);
  }
}

TEST_CASE("multiply_columns: NaN and infinity stay in their row or column; beta = 0 does not read C") {
  for (const Index m : {1, 13, 70}) {
    check_not_finite<float, float>(m, std::numeric_limits<float>::quiet_NaN());
    check_not_finite<double, double>(m, std::numeric_limits<double>::infinity());
    check_not_finite<double, float>(m, -std::numeric_limits<float>::infinity());
  }
}

TEST_CASE("multiply_columns: without columns of A, beta·C is left") {
  const Matrix<double> A(300, 0), X(0, 5);
  Matrix<double> C(300, 5);
  fill<double>(C, 3);
  multiply_columns<double, double>(1, A, X, 2, C);
  for (Index j = 0; j < 5; ++j)
    for (Index i = 0; i < 300; ++i) REQUIRE(C(i, j) == 6);
}
