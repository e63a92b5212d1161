#include <lowrank/factor/factor.hpp>
#include <lowrank/gen/generate.hpp>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using lowrank::Index;
using lowrank::make_factors;
using lowrank::Matrix;
using lowrank::Order;
using lowrank::Split;

namespace {

template <class T>
Matrix<T> example(Index m, Index n) {
  std::vector<double> sigma;
  for (Index i = 0; i < std::min(m, n); ++i) sigma.push_back(std::pow(0.7, static_cast<double>(i)));
  return check::there(lowrank::generate<T>({.rows = m, .cols = n, .sigma = sigma, .seed = 4}));
}

}  // namespace

TEST_CASE_TEMPLATE("factors: B·A is U·S·Vᵀ for both splits", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{50, 30}, {30, 50}, {1, 20}, {20, 1}}) {
    const auto svd = lowrank::truncated_svd(example<T>(m, n), {.rank = std::min<Index>({6, m, n})});
    const Dense U = check::dense(svd.U), V = check::dense(svd.V);
    const Dense product = check::diagonal_product(U, svd.S, V);
    const auto us = make_factors(svd), root = make_factors(svd, Split::sqrt);
    for (const auto* factors : {&us, &root}) {
      CHECK(factors->rank() == svd.rank());
      CHECK(factors->B.rows() == m);
      CHECK(factors->A.rows() == svd.rank());
      CHECK(factors->A.cols() == n);
      CHECK(factors->parameters_before == m * n);
      CHECK(factors->parameters_after == (m + n) * svd.rank());
      CHECK(check::difference_ratio<T>(check::dense(factors->B) * check::dense(factors->A), product) < 4);
    }
    CHECK(check::dense(us.A) == V.transpose());
    for (Index j = 0; j < svd.rank(); ++j) {
      const double s = static_cast<double>(svd.S[static_cast<std::size_t>(j)]);
      CHECK((check::dense(us.B).col(j) - s * U.col(j)).norm() <= 4 * check::eps<T> * s);
      CHECK((check::dense(root.B).col(j) - std::sqrt(s) * U.col(j)).norm() <= 4 * check::eps<T> * std::sqrt(s));
      CHECK((check::dense(root.A).row(j).transpose() - std::sqrt(s) * V.col(j)).norm() <=
            4 * check::eps<T> * std::sqrt(s));
    }
  }
}

TEST_CASE_TEMPLATE("factors: ten by ten of rank two becomes 40 parameters of 100", T, float, double) {
  const auto W = check::there(lowrank::generate<T>({.rows = 10, .cols = 10, .rank = 2, .seed = 1}));
  const auto factors = make_factors(lowrank::truncated_svd(W, {.rtol = 1e-4}));
  CHECK(factors.rank() == 2);
  CHECK(factors.parameters_before == 100);
  CHECK(factors.parameters_after == 40);
  CHECK(check::difference_ratio<T>(check::dense(factors.B) * check::dense(factors.A), check::dense(W)) < 10);
}

TEST_CASE_TEMPLATE("factors: of zero and of empty matrices", T, float, double) {
  Matrix<T> zero(8, 6, check::device());
  lowrank::fill<T>(zero, 0);
  for (const Split split : {Split::us, Split::sqrt}) {
    const auto factors = make_factors(lowrank::truncated_svd(zero, {.rank = 2}), split);
    CHECK(check::dense(factors.B).isZero(0));
    CHECK(check::dense(factors.A).allFinite());
    CHECK(factors.parameters_after == 28);
    const auto none = make_factors(lowrank::truncated_svd(Matrix<T>(0, 5, check::device()), {.rtol = 0.1}), split);
    CHECK(none.rank() == 0);
    CHECK(none.A.cols() == 5);
    CHECK(none.parameters_before == 0);
    CHECK(none.parameters_after == 0);
  }
}

TEST_CASE_TEMPLATE("apply_factors: B·(A·X) + b for every layout", T, float, double) {
  for (const Index k : {0, 1, 7, 20})
    for (const Index r : {1, 5})
      for (const Order order : {Order::col_major, Order::row_major}) {
        const Dense B = check::rounded<T>(check::gaussian(30, r, 1)), A = check::rounded<T>(check::gaussian(r, 22, 2)),
                    X = check::rounded<T>(check::gaussian(22, k, 3)), b = check::rounded<T>(check::gaussian(30, 1, 4));
        Laid<T> lB(B, order, 1), lA(A, lowrank::flip(order), 2), lX(X, order), lb(b, Order::col_major);
        const Dense plain = check::dense(lowrank::apply_factors<T>(lB, lA, lX));
        CHECK(check::difference_ratio<T>(plain, B * (A * X)) < 4);
        const Dense biased = check::dense(lowrank::apply_factors<T>(lB, lA, lX, lb));
        const Dense wanted = (B * (A * X)).colwise() + Eigen::VectorXd(b.col(0));
        CHECK(check::difference_ratio<T>(biased, wanted) < 4);
      }
}

TEST_CASE_TEMPLATE("apply_factors: shapes that do not fit are refused", T, float, double) {
  Laid<T> B(30, 4), A(4, 22), X(22, 3), b(30, 1), wrong_A(5, 22), wrong_X(21, 3), short_b(29, 1), wide_b(30, 2);
  CHECK_THROWS_AS(lowrank::apply_factors<T>(B, wrong_A, X), std::invalid_argument);
  CHECK_THROWS_AS(lowrank::apply_factors<T>(B, A, wrong_X), std::invalid_argument);
  CHECK_THROWS_AS(lowrank::apply_factors<T>(B, A, X, short_b), std::invalid_argument);
  CHECK_THROWS_AS(lowrank::apply_factors<T>(B, A, X, wide_b), std::invalid_argument);
  CHECK(lowrank::apply_factors<T>(B, A, X, b).rows() == 30);
}
