#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/panel_amx.hpp>
#include <skip.hpp>

using namespace lowrank;

#define NEEDS_AMX \
  if (!amx::available()) SKIP("this processor, or this system, has no AMX tiles for bfloat16")

namespace {

constexpr double float_eps = std::numeric_limits<float>::epsilon();

Matrix<float> normal(Index rows, Index cols, Order order, std::uint64_t stream) {
  Matrix<float> X(rows, cols, order);
  fill_normal<float>(X, 11, stream);
  return X;
}

/// Largest |C - (alpha·A·X + beta·before)| in units of eps·(‖aᵢ‖·‖xⱼ‖ + |beta·before|).
double worst_error(float alpha, MatrixView<const float> A, MatrixView<const float> X, float beta,
                   MatrixView<const float> before, MatrixView<const float> C) {
  double worst = 0;
  for (Index j = 0; j < C.cols(); ++j)
    for (Index i = 0; i < C.rows(); ++i) {
      double sum = 0, a = 0, x = 0;
      for (Index l = 0; l < A.cols(); ++l) {
        const double entry = static_cast<double>(A(i, l)), factor = static_cast<double>(X(l, j));
        sum += entry * factor;
        a += entry * entry;
        x += factor * factor;
      }
      const double old = beta == 0 ? 0.0 : static_cast<double>(beta) * static_cast<double>(before(i, j));
      const double unit = float_eps * (std::abs(static_cast<double>(alpha)) * std::sqrt(a * x) + std::abs(old));
      const double error = std::abs(static_cast<double>(C(i, j)) - (static_cast<double>(alpha) * sum + old));
      worst = std::max(worst, unit > 0 ? error / unit : error);
    }
  return worst;
}

double ordinary_error(MatrixView<const float> A, MatrixView<const float> X) {
  Matrix<float> C(A.rows(), X.cols());
  amx::enable(false);
  multiply<float>(1, A, X, 0, C);
  amx::enable(true);
  return worst_error(1, A, X, 0, {}, C);
}

void check_tiles() {
  const std::vector<std::pair<Index, Index>> sizes = {{1, 1}, {15, 33}, {64, 32}, {65, 31}, {97, 520}, {300, 513}};
  for (const auto& [m, n] : sizes)
    for (const Index k : {1, 3, 15, 16, 17, 32, 33, 48, 65, 130})
      for (const Order order_a : {Order::col_major, Order::row_major})
        for (const Order order : {Order::col_major, Order::row_major}) {
          const Matrix<float> A = normal(m + 3, n + 3, order_a, 1);
          const Matrix<float> X = normal(n + 2, k + 2, order, 2);
          Matrix<float> C = normal(m + 5, k + 5, order, 3);
          const Matrix<float> before = C.clone();
          const auto part_a = A.view().block(0, 0, m, n);
          const auto part_x = X.view().block(0, 0, n, k);
          const float beta = k % 2 == 0 ? 0.0F : 0.5F;
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          REQUIRE(amx::multiply<float>(-1.5F, part_a, part_x, beta, C.view().block(0, 0, m, k)).empty());
          CHECK(worst_error(-1.5F, part_a, part_x, beta, before.view().block(0, 0, m, k), C.view().block(0, 0, m, k)) <
                4);
          for (Index j = 0; j < C.cols(); ++j)
            for (Index i = 0; i < C.rows(); ++i)
              if (i >= m || j >= k) REQUIRE(C(i, j) == before(i, j));
        }
}

bool holds(const std::vector<amx::Rows>& runs, Index row) {
  return std::any_of(runs.begin(), runs.end(),
                     [&](const amx::Rows& run) { return run.first <= row && row < run.first + run.count; });
}

/// Row 7 of A, or X, has an entry that the matrix unit must leave to others; what the primitive gives is what it gives
/// without the unit.
void check_tiles_refused(const Matrix<float>& A, const Matrix<float>& X, bool all_rows) {
  Matrix<float> with(A.rows(), X.cols()), without(A.rows(), X.cols());
  const auto left = amx::multiply<float>(1, A, X, 0, with);
  CHECK(holds(left, 7));
  CHECK(holds(left, A.rows() - 1) == all_rows);
  multiply<float>(1, A, X, 0, with);
  amx::enable(false);
  multiply<float>(1, A, X, 0, without);
  amx::enable(true);
  for (Index j = 0; j < X.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i) {
      const float a = with(i, j), b = without(i, j);
      CAPTURE(i);
      CAPTURE(j);
      REQUIRE(std::isnan(a) == std::isnan(b));
      if (std::isinf(b)) REQUIRE(a == b);
    }
}

}  // namespace

TEST_CASE("panel_amx: every remainder, order and leading dimension against sums in double") {
  NEEDS_AMX;
  check_tiles();
}

TEST_CASE("panel_amx: a sum of nothing is left to others, a product of nothing is done") {
  NEEDS_AMX;
  Matrix<float> C(40, 8);
  fill<float>(C, 3);
  REQUIRE(amx::multiply<float>(1, Matrix<float>(40, 0), Matrix<float>(0, 8), 0, C).size() == 1);
  CHECK(C(39, 7) == 3);
  multiply<float>(1, Matrix<float>(40, 0), Matrix<float>(0, 8), 0, C);
  CHECK(C(39, 7) == 0);
  Matrix<float> none(0, 8);
  CHECK(amx::multiply<float>(1, Matrix<float>(0, 40), Matrix<float>(40, 8), 0, none).empty());
}

TEST_CASE("panel_amx: more than 512 columns") {
  NEEDS_AMX;
  const Matrix<float> A = normal(300, 200, Order::row_major, 1), X = normal(200, 1100, Order::col_major, 2);
  Matrix<float> C(300, 1100);
  REQUIRE(amx::multiply<float>(1, A, X, 0, C).empty());
  CHECK(worst_error(1, A, X, 0, {}, C) < 4);
}

TEST_CASE("panel_amx: as accurate as fused multiply-adds on Gaussian, positive, graded and cancelling data") {
  NEEDS_AMX;
  const Index m = 250, n = 3000, k = 40;
  for (const Order order : {Order::col_major, Order::row_major})
    for (const std::string kind : {"gaussian", "positive", "graded", "cancelling"}) {
      Matrix<float> A = normal(m, n, order, 1), X = normal(n, k, Order::col_major, 2);
      for (Index l = 0; l < n; ++l)
        for (Index i = 0; i < m; ++i) {
          float& a = A(i, l);
          if (kind == "positive") a = std::abs(a);
          if (kind == "graded") a *= std::pow(10.0F, static_cast<float>(12 * l / n - 6));
          if (kind == "cancelling" && l % 2 == 1) a = -A(i, l - 1) * 1.0001F;
        }
      if (kind == "positive" || kind == "cancelling")
        for (Index j = 0; j < k; ++j)
          for (Index l = 0; l < n; ++l) X(l, j) = kind == "positive" ? std::abs(X(l, j)) : X(l / 2 * 2, j);
      Matrix<float> C(m, k);
      REQUIRE(amx::multiply<float>(1, A, X, 0, C).empty());
      CAPTURE(kind);
      CHECK(worst_error(1, A, X, 0, {}, C) < 2 * ordinary_error(A, X) + 1);
    }
}

TEST_CASE("panel_amx: NaN, Inf, tiny and huge entries come out as by the other kernels") {
  NEEDS_AMX;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const Order order : {Order::col_major, Order::row_major})
    for (const float odd : {nan, inf, -inf, 3e38F}) {
      Matrix<float> A = normal(400, 400, order, 1), X = normal(400, 40, Order::col_major, 2);
      A(7, 9) = odd;
      check_tiles_refused(A, X, false);
      if (std::abs(odd) < inf) continue;  // A huge X is scaled.
      A(7, 9) = 1;
      X(11, 3) = odd;
      check_tiles_refused(A, X, true);
    }
  for (const Order order : {Order::col_major, Order::row_major})
    for (const float scale : {1e-37F, 1e-30F, 1e-24F, 1e24F, 1e30F}) {
      Matrix<float> A = normal(400, 400, order, 1), X = normal(400, 40, Order::col_major, 2);
      for (Index j = 0; j < 400; ++j)
        for (Index i = 0; i < 400; ++i) A(i, j) *= scale;
      Matrix<float> C(400, 40);
      multiply<float>(1, A, X, 0, C);
      CAPTURE(scale);
      // At 1e-37 the entries themselves are good to less than float's precision, the sums to subnormal units.
      CHECK(worst_error(1, A, X, 0, {}, C) < 8);
      Matrix<float> small = X.clone();
      for (Index j = 0; j < 40; ++j)
        for (Index i = 0; i < 400; ++i) small(i, j) = X(i, j) * std::pow(10.0F, static_cast<float>(j - 15));
      const Matrix<float> B = normal(400, 400, order, 5);
      multiply<float>(1, B, small, 0, C);
      CHECK(worst_error(1, B, small, 0, {}, C) < 8);
    }
}

TEST_CASE("panel_amx: a row of subnormal numbers is not taken for zeros, a row of zeros is") {
  NEEDS_AMX;
  for (const Order order : {Order::col_major, Order::row_major})
    for (const float value : {0.0F, -0.0F, 1e-45F, -1e-42F, 1e-38F, 1e-30F}) {
      Matrix<float> A = normal(400, 400, order, 1);
      for (Index l = 0; l < 400; ++l) A(7, l) = value;
      Matrix<float> C(400, 40);
      CAPTURE(value);
      const auto left = amx::multiply<float>(1, A, normal(400, 40, Order::col_major, 2), 0, C);
      CHECK(holds(left, 7) == (value != 0));
      CHECK(!holds(left, 399));
    }
}

TEST_CASE("panel_amx: a double matrix is rounded to float on its way") {
  NEEDS_AMX;
  for (const Order order : {Order::col_major, Order::row_major})
    for (const auto& [m, n] : {std::pair<Index, Index>{1, 7}, {77, 310}, {389, 530}}) {
      Matrix<double> A(m, n, order);
      fill_normal<double>(A, 11, 1);
      Matrix<float> rounded(m, n, order);
      for (Index j = 0; j < n; ++j)
        for (Index i = 0; i < m; ++i) rounded(i, j) = static_cast<float>(A(i, j));
      const Matrix<float> X = normal(n, 40, Order::col_major, 2);
      Matrix<float> C(m, 40), D(m, 40);
      REQUIRE(amx::multiply<double>(1, A, X, 0, C).empty());
      REQUIRE(amx::multiply<float>(1, rounded, X, 0, D).empty());
      for (Index j = 0; j < 40; ++j)
        for (Index i = 0; i < m; ++i) REQUIRE(C(i, j) == D(i, j));
      A(m / 2, n / 2) = 1e60;
      CHECK(holds(amx::multiply<double>(1, A, X, 0, C), m / 2));
    }
}

TEST_CASE("panel_amx: beta = 0 does not read C, and the threads do not show") {
  NEEDS_AMX;
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Matrix<float> A = normal(700, 600, order, 1), X = normal(600, 50, Order::col_major, 2);
    Matrix<float> C(700, 50), D(700, 50);
    fill<float>(C, std::numeric_limits<float>::quiet_NaN());
    set_threads(1);
    REQUIRE(amx::multiply<float>(1, A, X, 0, C).empty());
    set_threads(2);
    REQUIRE(amx::multiply<float>(1, A, X, 0, D).empty());
    set_threads(0);
    for (Index j = 0; j < 50; ++j)
      for (Index i = 0; i < 700; ++i) REQUIRE(C(i, j) == D(i, j));
  }
}
