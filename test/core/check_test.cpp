#include "../check.hpp"

using check::Dense;
using check::Index;

namespace {

struct Example {
  Dense A, U, V;
  std::vector<double> S;
};

Example example() {
  Example e;
  e.S = {4, 2, 1, 0.5, 0.25, 0.125};
  e.U = check::haar(40, 6, 1);
  e.V = check::haar(30, 6, 2);
  e.A = check::diagonal_product(e.U, e.S, e.V);
  return e;
}

template <class T>
void rejects_perturbed_factors() {
  Example e = example();
  const double unit = check::eps<T> * e.A.norm();
  const std::vector<T> S(e.S.begin(), e.S.end());
  CHECK(check::residual_ratio<T>(e.A, e.U, S, e.V) < 1);

  Example wrong = example();  // a few 100 eps·‖A‖ in the product, through one entry of U
  wrong.U.col(0) += check::haar(40, 1, 3) * (400 * unit * 40 / e.S[0] / 10);
  CHECK(check::residual_ratio<T>(e.A, wrong.U, S, e.V) > 30);

  wrong = example();
  wrong.U.col(5) = -wrong.U.col(5);  // the least triplet
  CHECK(check::residual_ratio<T>(e.A, wrong.U, S, e.V) > 1e4);

  std::vector<T> S2 = S;
  S2[2] += static_cast<T>(4000 * unit);
  CHECK(check::residual_ratio<T>(e.A, e.U, S2, e.V) > 30);

  wrong = example();
  wrong.U(7, 3) += 300 * check::eps<T> * 40;
  CHECK(check::orthogonality_ratio<T>(e.U) < 2);
  CHECK(check::orthogonality_ratio<T>(wrong.U) > 30);
  wrong = example();
  wrong.U.col(1) = wrong.U.col(0);
  CHECK(check::orthogonality_ratio<T>(wrong.U) > 1e4);
}

}  // namespace

TEST_CASE("checkers reject perturbed factors and wrong signs") {
  rejects_perturbed_factors<float>();
  rejects_perturbed_factors<double>();
}

TEST_CASE("checkers: subspace distance is the sine of the largest angle") {
  const Dense Q = check::haar(30, 5, 4);
  Dense P = Q * check::haar(5, 5, 5);
  CHECK(check::subspace_distance(P, Q) < 1e-14);
  const Dense all = check::haar(30, 6, 6);
  Dense turned = all.leftCols(5);
  turned.col(4) = std::cos(0.3) * all.col(4) + std::sin(0.3) * all.col(5);
  CHECK(check::near(check::subspace_distance(turned, all.leftCols(5)), std::sin(0.3), 1e-12));
  turned.col(4) = all.col(4) + 1e-9 * all.col(5);
  CHECK(check::near(check::subspace_distance(turned, all.leftCols(5)), 1e-9, 1e-4));
}

TEST_CASE("checkers: order, signs, best error, gaps") {
  CHECK(check::falling(std::vector<float>{3, 2, 2, 0}));
  CHECK_FALSE(check::falling(std::vector<float>{3, 2, 2.5f}));
  CHECK_FALSE(check::falling(std::vector<float>{3, -1}));
  CHECK_FALSE(check::falling(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}));

  Dense U(3, 2);
  U << 0.1, 0.8, 0.9, -0.1, -0.4, 0.2;
  CHECK(check::signs_follow_rule<double>(U));
  U.col(1) = -U.col(1);
  CHECK_FALSE(check::signs_follow_rule<double>(U));

  CHECK(check::near(check::best_error({5, 4, 3}, 1), 5, 2e-5));
  CHECK(check::best_error({5, 4, 3}, 3) == 0);

  check::Laid<float> laid(3, 2, check::Order::col_major, 2);
  CHECK(laid.gaps_untouched());
  laid.view().data()[3] = 1;
  CHECK_FALSE(laid.gaps_untouched());

  const Dense A = check::with_spectrum(20, 12, {3, 2, 1}, 9);
  const auto sigma = check::singular_values(A);
  CHECK(check::near(sigma[2], 1, 2e-5));
  CHECK(sigma[3] < 1e-14);
}
