#include "svd_check.hpp"

using check::Dense;
using check::Laid;
using check::methods;
using check::Reference;
using check::with;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::Order;
using lowrank::SvdMethod;
using lowrank::Truncation;

TEST_CASE_TEMPLATE("svd shapes: the result has the dtype of the matrix", T, float, double) {
  const auto svd = lowrank::truncated_svd(check::family_matrix<T>({"", "exp:0.1"}, 30, 20), {.rank = 3});
  static_assert(std::is_same_v<decltype(svd), const lowrank::Svd<T>>);
  CHECK(svd.rank() == 3);
}

TEST_CASE_TEMPLATE("svd shapes: k = min(m, n), and k + p beyond it", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{60, 25}, {25, 60}, {40, 40}, {2, 2}, {3, 50}})
    for (const SvdMethod method : methods)
      for (const Index short_by : {0, 1, 3}) {
        const Index rank = std::min(m, n) - short_by;
        if (rank < 1) continue;
        const auto A = check::family_matrix<T>({"", "poly:0.5"}, m, n);
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(static_cast<int>(method));
        check::check_svd<T>(Reference<T>(A), {.rank = rank}, lowrank::truncated_svd(A, {.rank = rank}, with(method)));
      }
}

TEST_CASE_TEMPLATE("svd shapes: 1x1, one row, one column", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{1, 1}, {1, 40}, {40, 1}})
    for (const SvdMethod method : methods)
      for (const Truncation wish : {Truncation{.rank = 1}, {.rtol = 0.1}, {.energy = 1}, {.energy = 0.5}}) {
        Matrix<T> A(m, n, check::device());
        lowrank::fill_normal<T>(A, 1, 2);
        const auto svd = lowrank::truncated_svd(A, wish, with(method));
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(static_cast<int>(method));
        check::check_svd<T>(Reference<T>(A), wish, svd);
        CHECK(svd.rank() == 1);
        CHECK(check::near(static_cast<double>(svd.S[0]), check::dense(A).norm(), 8 * check::eps<T>));
      }
  Matrix<T> negative(1, 1, check::device());
  lowrank::fill<T>(negative, T(-2.5));
  const auto svd = lowrank::truncated_svd(negative, {.rank = 1});
  CHECK(check::near(check::dense(svd.U)(0, 0), 1, 2e-5));
  CHECK(check::near(svd.S[0], 2.5, 2e-5));
  CHECK(check::near(check::dense(svd.V)(0, 0), -1, 2e-5));
}

TEST_CASE_TEMPLATE("svd shapes: the zero matrix", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{30, 20}, {20, 30}, {1, 1}, {300, 200}})
    for (const SvdMethod method : methods) {
      Matrix<T> A(m, n, check::device());
      lowrank::fill<T>(A, 0);
      CAPTURE(m);
      CAPTURE(static_cast<int>(method));
      const Index rank = std::min<Index>(3, std::min(m, n));
      const auto svd = lowrank::truncated_svd(A, {.rank = rank}, with(method));
      CHECK(svd.converged);
      CHECK(svd.rank() == rank);
      for (const T s : svd.S) CHECK(s == 0);
      check::check_form<T>(check::dense(svd.U), svd.S, check::dense(svd.V), m, n);
      CHECK(svd.certificate.relative_error == 0);
      CHECK(svd.certificate.error_bound == 0);
      for (const Truncation wish : {Truncation{.rtol = 0.1}, {.energy = 0.9}, {.energy = 1}}) {
        const auto least = lowrank::truncated_svd(A, wish, with(method));
        CHECK(least.converged);
        CHECK(least.rank() <= 2);
        CHECK(least.certificate.relative_error == 0);
      }
    }
}

TEST_CASE_TEMPLATE("svd shapes: empty matrices", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{0, 0}, {0, 7}, {7, 0}})
    for (const SvdMethod method : methods) {
      const Matrix<T> A(m, n, check::device());
      for (const Truncation wish : {Truncation{.rtol = 0.1}, {.energy = 0.9}}) {
        const auto svd = lowrank::truncated_svd(A, wish, with(method));
        CHECK(svd.rank() == 0);
        CHECK(svd.U.rows() == m);
        CHECK(svd.V.rows() == n);
        CHECK(svd.certificate.relative_error == 0);
      }
      CHECK_THROWS_AS(lowrank::truncated_svd(A, {.rank = 1}, with(method)), std::invalid_argument);
    }
}

TEST_CASE_TEMPLATE("svd shapes: constant, repeated and zero columns, rank above the matrix's", T, float, double) {
  Dense constant = Dense::Constant(80, 50, 3), repeated = check::gaussian(80, 50, 1), holes = repeated;
  for (Index j = 1; j < 50; ++j) repeated.col(j) = repeated.col(j % 3);
  for (Index j = 0; j < 50; j += 2) holes.col(j).setZero();
  holes.topRows(40).setZero();
  for (const Dense& values : {constant, repeated, holes})
    for (const SvdMethod method : methods) {
      Laid<T> A(values, Order::row_major);
      const auto matrix = Matrix<T>::copy_of(A);
      const Reference<T> ref(matrix);
      CAPTURE(static_cast<int>(method));
      for (const Truncation wish : {Truncation{.rank = 10}, {.rank = 50}, {.rtol = 1e-3}, {.energy = 0.9}})
        check::check_svd<T>(ref, wish, lowrank::truncated_svd(matrix, wish, with(method)));
    }
}

TEST_CASE_TEMPLATE("svd shapes: an error that is rounding is not taken for triplets missed", T, float, double) {
  // One column, 600 times: what the probes see of the error is rounding, and more of it than the error's norm.
  const Matrix<T> column = Matrix<T>::copy_of(check::family_matrix<T>({"", "flat"}, 2000, 1).view());
  Matrix<T> A(2000, 600, check::device());
  for (Index j = 0; j < 600; ++j) lowrank::copy<T>(column, A.view().middle_cols(j, 1));
  for (const SvdMethod method : methods) {
    CAPTURE(static_cast<int>(method));
    const auto svd = lowrank::truncated_svd(A, {.rank = 10}, with(method));
    CHECK(svd.converged);
    CHECK(svd.certificate.relative_error < 2000 * check::eps<T>);
    CHECK(svd.certificate.improvable <= 1);
    CHECK_FALSE(check::contains(svd.reason, "the probes found"));
  }
}

TEST_CASE_TEMPLATE("svd shapes: layouts of the same matrix agree", T, float, double) {
  const Dense values = check::dense(check::family_matrix<T>({"", "exp:0.05"}, 180, 120));
  for (const SvdMethod method : methods) {
    Laid<T> by_columns(values, Order::col_major), by_rows(values, Order::row_major), gaps(values, Order::col_major, 7),
        row_gaps(values, Order::row_major, 9);
    const auto first = lowrank::truncated_svd(by_columns.view(), {.rank = 10}, with(method));
    const Dense product = check::diagonal_product(check::dense(first.U), first.S, check::dense(first.V));
    for (Laid<T>* laid : {&by_rows, &gaps, &row_gaps}) {
      const auto svd = lowrank::truncated_svd(laid->view(), {.rank = 10}, with(method));
      const Dense other = check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
      CHECK((other - product).norm() <= 200 * check::eps<T> * values.norm());
      for (std::size_t i = 0; i < 10; ++i) CHECK(check::near(svd.S[i], first.S[i], 100 * check::eps<T>));
    }
  }
}

TEST_CASE_TEMPLATE("svd shapes: scales near the ends of the number range", T, float, double) {
  const bool single = std::is_same_v<T, float>;
  const Dense values = check::dense(check::family_matrix<double>({"", "exp:0.1"}, 120, 80));
  for (const double scale : {single ? 1e30 : 1e300, single ? 1e-30 : 1e-300, single ? 1e37 : 1e307})
    for (const SvdMethod method : methods)
      for (const Truncation wish : {Truncation{.rank = 8}, {.rtol = 0.01}, {.energy = 0.99}}) {
        Laid<T> A(values * scale, Order::col_major);
        const Dense stored = check::dense<T>(A) / scale;
        const auto svd = lowrank::truncated_svd(A.view(), wish, with(method));
        CAPTURE(scale);
        CAPTURE(static_cast<int>(method));
        CHECK(svd.converged);
        std::vector<double> S;
        for (const T s : svd.S) S.push_back(static_cast<double>(s) / scale);
        const Dense U = check::dense(svd.U), V = check::dense(svd.V);
        check::check_form<T>(U, svd.S, V, 120, 80);
        const Dense E = stored - check::diagonal_product(U, S, V);
        const double rounding = 40 * check::eps<T> * stored.norm();
        CHECK(E.norm() <= 1.01 * check::best_error(check::singular_values(stored), svd.rank()) + rounding);
        CHECK(svd.certificate.relative_error * stored.norm() >= E.norm() * (1 - (single ? 1e-3 : 1e-9)) - rounding);
        CHECK(svd.certificate.error_bound / scale >= check::spectral_norm(E) - rounding);
      }
}

TEST_CASE_TEMPLATE("svd shapes: subnormal entries", T, float, double) {
  const double scale = std::is_same_v<T, float> ? 1e-41 : 1e-318;
  Laid<T> A(check::gaussian(40, 2, 1) * check::gaussian(2, 30, 2) * scale, Order::col_major);
  const Dense stored = check::dense<T>(A) / scale;
  for (const SvdMethod method : methods) {
    const auto svd = lowrank::truncated_svd(A.view(), {.rank = 2}, with(method));
    std::vector<double> S;
    for (const T s : svd.S) S.push_back(static_cast<double>(s) / scale);
    const Dense U = check::dense(svd.U), V = check::dense(svd.V);
    check::check_form<T>(U, svd.S, V, 40, 30);
    // S itself is subnormal: a spacing of 1e-45/1e-41 or 5e-324/1e-318.
    const double spacing = std::is_same_v<T, float> ? 2e-4 : 1e-5;
    CHECK((stored - check::diagonal_product(U, S, V)).norm() <=
          1.01 * check::best_error(check::singular_values(stored), 2) + 4 * spacing);
  }
}
