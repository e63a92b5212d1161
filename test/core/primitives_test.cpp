#include <array>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using check::orders;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::Order;

namespace {

constexpr std::array<Index, 10> sizes{0, 1, 2, 3, 7, 8, 9, 31, 33, 70};

Matrix<double> upper_triangle(Index k, std::uint64_t seed) {
  const Dense G = check::gaussian(k, k, seed);
  Matrix<double> R(k, k);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < k; ++i) R(i, j) = i < j ? 0.3 * G(i, j) : i == j ? 2 + std::abs(G(i, i)) : 0;
  return R;
}

}  // namespace

TEST_CASE_TEMPLATE("gram: XᵀX in double, symmetric, for every size and layout", T, float, double) {
  for (const Index m : {0, 1, 5, 40, 333, 5000})
    for (const Index k : {0, 1, 2, 3, 7, 8, 9, 31, 33})
      for (const Order order : orders) {
        if (m == 5000 && k > 9) continue;
        const Dense X = check::rounded<T>(check::gaussian(m, k, 5));
        Laid<T> laid(X, order, 3);
        const Matrix<double> G = lowrank::gram<T>(laid);
        REQUIRE(G.rows() == k);
        REQUIRE(G.cols() == k);
        const Dense expected = X.transpose() * X, size = X.cwiseAbs().transpose() * X.cwiseAbs();
        const double factor = 2.0 * static_cast<double>(m + 1) * check::eps<double>;
        CHECK(((check::dense(G) - expected).cwiseAbs().array() <= factor * size.array()).all());
        CHECK(check::dense(G) == check::dense(G).transpose());
      }
}

TEST_CASE_TEMPLATE("gram: beyond the columns of the kernel, and the threads do not show within them", T, float,
                   double) {
  for (const Order order : {Order::col_major, Order::row_major}) {
    Matrix<T> X(1300, 300, order);
    fill_normal<T>(X, 5, 0);
    const Matrix<double> G = lowrank::gram<T>(X), within = lowrank::gram<T>(X.left_cols(60));
    const double off = (G.eigen().topLeftCorner(60, 60) - within.eigen()).cwiseAbs().maxCoeff();
    CHECK(off <= 1300 * 16 * std::numeric_limits<double>::epsilon());
    CHECK((G.eigen() - G.eigen().transpose()).cwiseAbs().maxCoeff() == 0);
    double last = 0;
    for (Index i = 0; i < 1300; ++i) last += static_cast<double>(X(i, 299)) * static_cast<double>(X(i, 3));
    CHECK(std::abs(G(3, 299) - last) <= 1300 * 16 * std::numeric_limits<double>::epsilon());
    lowrank::set_threads(1);
    const Matrix<double> alone = lowrank::gram<T>(X.left_cols(60));
    lowrank::set_threads(0);
    CHECK((alone.eigen() - within.eigen()).cwiseAbs().maxCoeff() == 0);
  }
}

TEST_CASE("gram: a float panel keeps in double what float would lose") {
  // Columns that differ by 1e-6: the determinant 1e-12 is far below the rounding of float, where it would vanish.
  Laid<float> X(2, 2);
  X(0, 0) = 1, X(0, 1) = 1, X(1, 0) = 0, X(1, 1) = 1e-6f;
  const auto G = lowrank::gram<float>(X);
  CHECK(check::near(G(0, 0) * G(1, 1) - G(0, 1) * G(1, 0), 1e-12, 1e-3));
}

TEST_CASE_TEMPLATE("solve_upper_right: X·R⁻¹ for every layout", T, float, double) {
  for (const Index m : sizes)
    for (const Index k : {0, 1, 2, 3, 7, 8, 9, 31, 33})
      for (const Order order : orders)
        for (const Order r_order : orders) {
          const Dense X = check::rounded<T>(check::gaussian(m, k, 6));
          const Matrix<double> R = upper_triangle(k, 7);
          const Matrix<double> laid_R = Matrix<double>::copy_of(R, r_order);
          Laid<T> laid(X, order, 2);
          lowrank::solve_upper_right<T>(laid, laid_R);
          CHECK(check::difference_ratio<T>(check::dense<T>(laid) * check::dense(R), X) < 4);
          CHECK(laid.gaps_untouched());
        }
}

TEST_CASE_TEMPLATE("scale_columns, copy and fill for every layout", T, float, double) {
  for (const Index m : sizes)
    for (const Index n : {0, 1, 3, 8, 33})
      for (const Order order : orders)
        for (const Order other : orders) {
          const Dense X = check::rounded<T>(check::gaussian(m, n, 8));
          Laid<T> from(X, order, 1), to(m, n, other, 4);
          lowrank::copy<T>(from, to);
          CHECK(check::dense<T>(to) == X);
          CHECK(to.gaps_untouched());
          std::vector<double> by;
          Dense expected = X;
          for (Index j = 0; j < n; ++j) {
            by.push_back(j % 2 == 0 ? 0.5 : -4.0);  // powers of two: no rounding
            expected.col(j) *= by.back();
          }
          lowrank::scale_columns<T>(to, by);
          CHECK(check::dense<T>(to) == expected);
          lowrank::fill<T>(to, T(-3));
          CHECK(check::dense<T>(to) == Dense::Constant(m, n, -3));
          CHECK(to.gaps_untouched());
        }
}

TEST_CASE_TEMPLATE("copy: large transposition and NaN", T, float, double) {
  const Dense X = check::rounded<T>(check::gaussian(517, 389, 8));
  Laid<T> from(X, Order::row_major, 3), to(517, 389, Order::col_major, 1);
  from(100, 200) = std::numeric_limits<T>::quiet_NaN();
  lowrank::copy<T>(from, to);
  CHECK(std::isnan(to(100, 200)));
  to(100, 200) = from(100, 200) = static_cast<T>(X(100, 200));
  CHECK(check::dense<T>(to) == X);
}

TEST_CASE_TEMPLATE("largest_in_columns: the first of the largest magnitude", T, float, double) {
  for (const Order order : orders)
    for (const Index m : {1, 2, 3, 7, 8, 9, 31, 33, 1000}) {
      Laid<T> X(check::gaussian(m, 5, 9), order, 2);
      for (Index i = 0; i < m; ++i) X(i, 3) = T(-2);         // all equal: the first
      if (m > 4) X(m - 1, 4) = T(-50), X(m / 2, 4) = T(50);  // equal magnitude, other sign
      for (Index i = 0; i < m; ++i) X(i, 1) = i == m - 1 ? T(-9) : T(1);
      const auto found = lowrank::largest_in_columns<T>(X);
      REQUIRE(found.size() == 5);
      for (Index j = 0; j < 5; ++j) {
        Index expected = 0;
        for (Index i = 1; i < m; ++i)
          if (std::abs(X(i, j)) > std::abs(X(expected, j))) expected = i;
        CHECK(found[static_cast<std::size_t>(j)].row == expected);
        CHECK(found[static_cast<std::size_t>(j)].col == j);
      }
    }
}

TEST_CASE_TEMPLATE("primitives: shapes that do not fit are refused with the values", T, float, double) {
  Laid<T> X(5, 3), wide(3, 5), other(5, 4);
  const Matrix<double> R = upper_triangle(4, 1);
  const auto solve = check::refusal([&] { lowrank::solve_upper_right<T>(X, R); });
  CHECK(check::contains(solve, "3"));
  CHECK(check::contains(solve, "4"));
  Matrix<double> oblong(3, 4);
  lowrank::fill<double>(oblong, 1);
  CHECK_THROWS_AS(lowrank::solve_upper_right<T>(X, oblong), std::invalid_argument);
  const auto copy = check::refusal([&] { lowrank::copy<T>(X, other); });
  CHECK(check::contains(copy, "5"));
  CHECK(check::contains(copy, "4"));
  CHECK(check::contains(check::refusal([&] { lowrank::scale_columns<T>(X, {1, 2}); }), "2"));
  const auto qr = check::refusal([&] { lowrank::householder_qr<T>(wide); });
  CHECK(check::contains(qr, "3"));
  CHECK(check::contains(qr, "5"));
}
