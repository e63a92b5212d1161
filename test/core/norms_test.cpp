#include <array>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using check::orders;
using lowrank::Index;
using lowrank::MatrixView;
using lowrank::Order;

namespace {

/// Column norms in long double, which neither overflows nor loses anything here.
template <class T>
std::vector<double> reference(const MatrixView<T>& view) {
  const Dense X = check::dense<T>(view);
  std::vector<double> norms;
  for (Index j = 0; j < X.cols(); ++j) {
    long double sum = 0;
    for (Index i = 0; i < X.rows(); ++i) sum += static_cast<long double>(X(i, j)) * static_cast<long double>(X(i, j));
    norms.push_back(static_cast<double>(std::sqrt(sum)));
  }
  return norms;
}

/// `tolerance` is relative; below the normal numbers the spacing of the subnormal ones counts.
template <class T>
void norms_agree(Laid<T>& X, double tolerance) {
  constexpr double spacing = 4 * std::numeric_limits<double>::denorm_min();
  const auto expected = reference<T>(X.view());
  const auto found = lowrank::column_norms<T>(X);
  REQUIRE(found.size() == expected.size());
  long double sum = 0;
  for (std::size_t j = 0; j < expected.size(); ++j) {
    CHECK(std::abs(found[j] - expected[j]) <= tolerance * expected[j] + spacing);
    sum += static_cast<long double>(expected[j]) * static_cast<long double>(expected[j]);
  }
  const auto all = static_cast<double>(std::sqrt(sum));
  CHECK(std::abs(lowrank::frobenius_norm<T>(X) - all) <= tolerance * all + spacing);
}

template <class T>
std::vector<double> scales() {
  if (std::is_same_v<T, float>) return {1, 1e-30, 1e-38, 1e-44, 1e37};
  return {1, 1e-150, 1e-300, 1e-310, 4e-323, 1e150, 1e300, 1e306};
}

}  // namespace

TEST_CASE_TEMPLATE("norms: every size and layout, from denormals to the largest numbers", T, float, double) {
  for (const Index m : {1, 2, 3, 7, 8, 9, 31, 33, 1000})
    for (const Index n : {1, 3, 8})
      for (const Order order : orders)
        for (const double scale : scales<T>()) {
          // Not normal numbers: 1e37·N(0, 1) might overflow to Inf.
          Laid<T> X(check::gaussian(m, n, 1).unaryExpr([](double x) { return std::tanh(x); }) * scale, order, 2);
          CAPTURE(scale);
          norms_agree<T>(X, 1e-13);
          CHECK(X.gaps_untouched());
        }
}

TEST_CASE_TEMPLATE("norms: columns of very different scales", T, float, double) {
  const double large = std::is_same_v<T, float> ? 1e37 : 1e300, small = 1 / large;
  for (const Order order : orders) {
    Dense X = check::gaussian(50, 4, 2).unaryExpr([](double x) { return std::tanh(x); });
    X.col(0) *= large, X.col(1) *= small, X.col(2).setZero();
    Laid<T> laid(X, order);
    norms_agree<T>(laid, 1e-13);
  }
}

TEST_CASE_TEMPLATE("norms: zero and empty", T, float, double) {
  Laid<T> zero(40, 3);
  CHECK(lowrank::frobenius_norm<T>(zero) == 0);
  CHECK(lowrank::column_norms<T>(zero) == std::vector<double>(3, 0.0));
  Laid<T> no_rows(0, 3), no_cols(3, 0);
  CHECK(lowrank::frobenius_norm<T>(no_rows) == 0);
  CHECK(lowrank::column_norms<T>(no_rows) == std::vector<double>(3, 0.0));
  CHECK(lowrank::column_norms<T>(no_cols).empty());
}

TEST_CASE_TEMPLATE("norms: the largest finite numbers do not overflow in double", T, float, double) {
  const double largest = static_cast<double>(std::numeric_limits<T>::max());
  Laid<T> X(Dense::Constant(1, 1, largest), Order::col_major);
  CHECK(check::near(lowrank::frobenius_norm<T>(X), largest, 2e-5));
}

TEST_CASE_TEMPLATE("norms: NaN and Inf come out as such", T, float, double) {
  for (const Order order : orders)
    for (const Index m : {1, 9, 33, 700}) {
      Laid<T> X(check::gaussian(m, 3, 1), order, 1);
      X(m - 1, 1) = -std::numeric_limits<T>::infinity();
      CHECK(std::isinf(lowrank::frobenius_norm<T>(X)));
      const auto with_inf = lowrank::column_norms<T>(X);
      CHECK(std::isfinite(with_inf[0]));
      CHECK(std::isinf(with_inf[1]));
      X(m / 2, 2) = std::numeric_limits<T>::quiet_NaN();
      CHECK_FALSE(std::isfinite(lowrank::frobenius_norm<T>(X)));
      CHECK(std::isnan(lowrank::column_norms<T>(X)[2]));
      CHECK(std::isfinite(lowrank::column_norms<T>(X)[0]));
      X(m - 1, 1) = 1;
      CHECK(std::isnan(lowrank::frobenius_norm<T>(X)));
    }
}

TEST_CASE_TEMPLATE("first_nonfinite: the first in storage order, or nothing", T, float, double) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  for (const Order order : orders)
    for (const Index m : {1, 2, 7, 8, 33, 400}) {
      Laid<T> X(check::gaussian(m, 9, 1), order, 4);  // the gaps hold NaN and are not entries
      CHECK_FALSE(lowrank::first_nonfinite<T>(X).has_value());
      X(m - 1, 2) = inf;
      auto place = lowrank::first_nonfinite<T>(X);
      REQUIRE(place.has_value());
      CHECK(place->row == m - 1);
      CHECK(place->col == 2);
      if (m < 2) continue;
      X(0, 7) = nan;  // before (m-1, 2) by rows, after it by columns
      place = lowrank::first_nonfinite<T>(X);
      REQUIRE(place.has_value());
      CHECK(place->row == (order == Order::col_major ? m - 1 : 0));
      CHECK(place->col == (order == Order::col_major ? 2 : 7));
    }
  Laid<T> large(1500, 900);
  large(1499, 899) = -inf;
  const auto last = lowrank::first_nonfinite<T>(large);
  REQUIRE(last.has_value());
  CHECK(last->row == 1499);
  CHECK(last->col == 899);
  large(700, 300) = nan;
  CHECK(lowrank::first_nonfinite<T>(large)->row == 700);
  Laid<T> finite(2, 2);
  finite(0, 0) = std::numeric_limits<T>::max(), finite(1, 1) = std::numeric_limits<T>::denorm_min();
  CHECK_FALSE(lowrank::first_nonfinite<T>(finite).has_value());
  CHECK_FALSE(lowrank::first_nonfinite<T>(Laid<T>(0, 4)).has_value());
}

TEST_CASE_TEMPLATE("difference_norm: of every layout, remainder, depth and scale", T, float, double) {
  const std::array<std::array<Index, 3>, 11> shapes{{{1, 1, 1},
                                                     {5, 300, 2},
                                                     {64, 64, 1},
                                                     {71, 129, 20},
                                                     {96, 256, 128},
                                                     {100, 67, 129},
                                                     {257, 191, 3},
                                                     {300, 5, 7},
                                                     {65, 2000, 33},
                                                     {2000, 66, 50},
                                                     {130, 90, 60}}};
  for (const auto& [m, n, k] : shapes)
    for (const Order order : orders)
      for (const Order left : orders)
        for (const Order right : orders) {
          const Dense L = check::rounded<T>(check::gaussian(m, k, 1)), R = check::rounded<T>(check::gaussian(k, n, 2));
          const Dense E = check::gaussian(m, n, 3);
          // The smaller differ from L·R by little more than the rounding of its sums.
          for (const double size : {1e3, 1.0, 1e-3, 0.0}) {
            const Dense X = check::rounded<T>(L * R + size * E);
            Laid<T> x(X, order, 3), l(L, left, 1), r(R, right, 2);
            const double expected = (X - L * R).norm(),
                         rounding = 2 * check::eps<T> * (L.cwiseAbs() * R.cwiseAbs()).norm();
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(k);
            CAPTURE(size);
            CHECK(std::abs(lowrank::difference_norm<T>(x, l, r) - expected) <=
                  64 * check::eps<T> * expected + rounding);
            CHECK(x.gaps_untouched());
          }
        }
}

TEST_CASE_TEMPLATE("difference_norm: the ends of the range, no depth, no entries, NaN", T, float, double) {
  const Index m = 70, n = 80, k = 3;
  const Dense L = check::rounded<T>(check::gaussian(m, k, 1)), R = check::rounded<T>(check::gaussian(k, n, 2));
  for (const double scale : scales<T>()) {
    Dense E = check::rounded<T>(check::gaussian(m, n, 3).unaryExpr([](double x) { return std::tanh(x); }) * scale);
    Laid<T> x(E, Order::row_major, 1), l(Dense::Zero(m, k), Order::col_major), r(R, Order::row_major);
    const double expected = lowrank::frobenius_norm<T>(x);
    CHECK(std::abs(lowrank::difference_norm<T>(x, l, r) - expected) <= 1e-13 * expected);
  }
  Laid<T> x(L * R, Order::row_major), l(L, Order::col_major), r(R, Order::row_major),
      none_l(Dense(m, 0), Order::col_major), none_r(Dense(0, n), Order::col_major),
      empty(Dense(0, n), Order::row_major), empty_l(Dense(0, k), Order::col_major);
  CHECK(lowrank::difference_norm<T>(x, none_l, none_r) == lowrank::frobenius_norm<T>(x));
  CHECK(lowrank::difference_norm<T>(empty, empty_l, r) == 0);
  Dense broken = L * R;
  broken(33, 44) = std::numeric_limits<double>::quiet_NaN();
  Laid<T> with_nan(broken, Order::row_major);
  CHECK(std::isnan(lowrank::difference_norm<T>(with_nan, l, r)));
  CHECK(check::contains(check::refusal([&] { lowrank::difference_norm<T>(x, l, none_r); }), "do not fit"));
}
