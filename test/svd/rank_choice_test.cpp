#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <lowrank/op/compose.hpp>
#include <lowrank/svd/probes.hpp>
#include <lowrank/svd/rank_methods.hpp>

#include "svd_check.hpp"

/// What automatic and qr do with matrices above 500 columns.

using lowrank::Index;
using lowrank::Matrix;
using lowrank::matrix_rank;
using lowrank::RankMethod;

namespace {

template <class T>
Matrix<T> on_host(Index m, Index n, std::vector<double> sigma, std::uint64_t seed = 3) {
  return lowrank::generate<T>({.rows = m, .cols = n, .sigma = std::move(sigma), .seed = seed});
}

std::vector<double> step(Index n, Index rank, double low) {
  std::vector<double> sigma(static_cast<std::size_t>(n), low);
  std::fill_n(sigma.begin(), rank, 1.0);
  return sigma;
}

template <class T>
struct CountingDense final : check::Counting<T> {
  using check::Counting<T>::Counting;
  std::optional<lowrank::MatrixView<const T>> entries() const override { return this->inner.entries(); }
};

}  // namespace

TEST_CASE_TEMPLATE("rank: automatic proves low, half and full rank each by its own method", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{640, 640}, {700, 600}, {600, 700}})
    for (const auto order : {lowrank::Order::col_major, lowrank::Order::row_major})
      for (const Index rank : {1, 20, 160, 300, 599, 600, 640}) {
        if (rank > std::min(m, n)) continue;
        const auto A = Matrix<T>::copy_of(on_host<T>(m, n, step(std::min(m, n), rank, 0)), order);
        const bool full = rank == std::min(m, n);
        const auto found = matrix_rank(A);
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(rank);
        CAPTURE(found.reason);
        CHECK(found.rank == rank);
        CHECK(found.certified);
        CHECK(found.method == (rank <= 20 ? "randomized" : full && m == n ? "lu" : "qr"));
        CHECK(found.sigma_rank > found.tolerance);
        CHECK(found.sigma_rank < 1.01);
        CHECK(found.sigma_next <= found.tolerance);
        CHECK((found.sigma_next == 0) == full);
        CHECK(check::near(found.sigma_max, 1, 0.01));
      }
}

TEST_CASE("rank: a step at 1e-10, and noise, by NumPy's rule and by a relative one") {
  const Index n = 640;
  const auto A = on_host<double>(n, n, step(n, 320, 1e-10));
  const auto all = matrix_rank(A);
  CHECK(all.rank == n);
  CHECK(all.certified);
  for (const RankMethod method : {RankMethod::automatic, RankMethod::qr}) {
    const auto half = matrix_rank(A, {.rtol = 1e-7, .method = method});
    CHECK(half.rank == 320);
    CHECK(half.certified);
    CHECK(half.method == "qr");
    CHECK(half.sigma_next >= 1e-10);
    const auto absolute = matrix_rank(A, {.tol = 1e-7, .method = method});
    CHECK(absolute.rank == 320);
    CHECK(absolute.certified);
  }
}

TEST_CASE_TEMPLATE("rank: one value near the tolerance is left to the SVD, which says so", T, float, double) {
  const Index n = 520;
  const double tol = static_cast<double>(n) * check::eps<T>;
  for (const auto& [last, rank] : {std::pair<double, Index>{3 * tol, n}, {tol / 4, n - 1}, {30 * tol, n}}) {
    std::vector<double> sigma(static_cast<std::size_t>(n), 1.0);
    sigma.back() = last;
    const auto found = matrix_rank(on_host<T>(n, n, sigma));
    CAPTURE(last / tol);
    CAPTURE(found.reason);
    CHECK(found.rank == rank);
    if (last == 3 * tol) {
      CHECK(found.method == "svd");
      CHECK(check::contains(found.reason, "decided by the SVD"));
    }
  }
}

TEST_CASE("rank: what grows ill-conditioned is decided as by the SVD") {
  for (const char* spec : {"poly:3", "exp:0.02", "exp:0.05"}) {
    const auto A = on_host<double>(560, 560, lowrank::spectrum(spec, 560));
    const auto expected = matrix_rank(A, {.method = RankMethod::svd});
    for (const RankMethod method : {RankMethod::automatic, RankMethod::qr}) {
      const auto found = matrix_rank(A, {.method = method});
      CAPTURE(spec);
      CAPTURE(found.reason);
      CHECK(std::abs(found.rank - expected.rank) <= (expected.certified ? 0 : 1));
    }
  }
}

TEST_CASE("rank: named matrices, large") {
  for (const char* name : {"kahan", "hilbert", "gks", "cauchy", "prolate"}) {
    const auto A = check::family_matrix<double>({name, "", 0, name}, 520, 520);
    const auto expected = matrix_rank(A, {.rtol = 1e-10, .method = RankMethod::svd});
    for (const RankMethod method : {RankMethod::automatic, RankMethod::qr, RankMethod::randomized}) {
      const auto found = matrix_rank(A, {.rtol = 1e-10, .method = method});
      CAPTURE(name);
      CAPTURE(found.reason);
      CHECK(found.rank == expected.rank);
    }
  }
}

TEST_CASE_TEMPLATE("rank: the LU proves nothing that is not so", T, float, double) {
  // σ_min / σ₁ from well above the tolerance to far below it.
  for (const Index n : {90, 300})
    for (double last = 1; last > 1e-20; last *= 0.03)
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        std::vector<double> sigma(static_cast<std::size_t>(n), 1.0);
        sigma.back() = last;
        const auto A = on_host<T>(n, n, sigma, seed);
        const lowrank::RankOptions options{.seed = seed};
        const lowrank::RankInput input{{-1, static_cast<double>(n) * check::eps<T>}, 1, options};
        std::string why;
        const auto found = lowrank::full_rank_by_lu(lowrank::as_operator(A), input, {0.99, 1.01}, why);
        const double least = check::singular_values(check::dense(A)).back();
        CAPTURE(last);
        if (found) {
          CHECK(least > found->tolerance);
          // A Ritz value: never below, and close while float's LU tells the last direction from the others.
          const double rounding = 8 * check::eps<T>;
          CHECK(found->sigma_rank >= 0.99 * least - rounding);
          CHECK(found->sigma_rank <= (least > 1e-5 ? 1.01 : 5) * least + rounding);
        } else {
          CHECK(least < 1e-3);
          CHECK(!why.empty());
        }
      }
}

TEST_CASE_TEMPLATE("largest_singular_value: σ₁ lies between its bounds, which are close", T, float, double) {
  for (const char* spec : {"flat", "poly:0.1", "poly:1", "exp:0.2", "step:1,1e-3"})
    for (const auto& [m, n] : {std::pair<Index, Index>{1, 1}, {5, 3}, {40, 70}, {1100, 1060}})
      for (const double scale : {1.0, std::is_same_v<T, float> ? 1e25 : 1e200, 1e-25}) {
        const Index k = std::min(m, n);
        const Matrix<T> A = on_host<T>(m, n, lowrank::spectrum(spec, k));
        const auto unscaled = lowrank::as_operator(A);
        const lowrank::ScaledOperator<T> scaled(scale, unscaled);
        const auto found = lowrank::largest_singular_value<T>(scaled, scaled.frobenius_norm().value(), 1);
        CAPTURE(spec);
        CAPTURE(m);
        CAPTURE(scale);
        const double rounding = 20 * check::eps<T>;
        CHECK(found.low <= (1 + rounding) * scale);
        CHECK(found.low >= 0.97 * scale);
        CHECK(found.high >= (1 - rounding) * scale);
        // Where the iteration settles at once the bound is the certificate's.
        CHECK(found.high <= 10 * scale);
      }
  // An operator that does not know its norm, and one whose iteration settles too soon for the theorem.
  const Matrix<T> A = on_host<T>(300, 200, step(200, 1, 0));
  const auto found = lowrank::largest_singular_value<T>(lowrank::as_operator(A), -1, 1);
  CHECK(check::near(found.low, 1, 1e-5));
  CHECK(found.high >= 1 - 1e-5);
  CHECK(found.high <= 1.1);
}

TEST_CASE_TEMPLATE("rank: a corner proves a rank, or nothing", T, float, double) {
  const Index n = 640, order = n / 16 + 121;
  const lowrank::RankOptions options{};
  const auto corner = [&](const check::Dense& A, double relative) {
    check::Laid<T> laid(A, lowrank::Order::col_major);
    const lowrank::RankInput input{{-1, relative}, A.norm(), options};
    return lowrank::look_at_corner<T>(lowrank::DenseOperator<T>(laid.view()), input, order);
  };
  const auto proved = [&](const check::Dense& A, double relative) { return corner(A, relative).full; };
  const double rule = static_cast<double>(n) * check::eps<T> / 100;
  const check::Dense A = check::dense(on_host<T>(n, n, step(n, order, 0)));
  CHECK(proved(check::Dense::Identity(n, n), rule));
  // Corners of random matrices come close to singular: float cannot tell.
  CHECK(proved(A, rule) == std::is_same_v<T, double>);
  CHECK_FALSE(proved(A, 0.1));
  CHECK_FALSE(proved(check::dense(on_host<T>(n, n, step(n, order - 1, 0))), rule));
  // No part of a matrix of full rank need have a rank.
  check::Dense anti = check::Dense::Zero(n, n);
  for (Index i = 0; i < n; ++i) anti(i, n - 1 - i) = 1;
  CHECK_FALSE(proved(anti, rule));
  const auto found = matrix_rank<T>(lowrank::DenseOperator<T>(check::Laid<T>(anti, lowrank::Order::col_major).view()));
  CHECK(found.rank == n);
  CHECK(found.certified);
  CHECK(corner(anti, rule).rank == 0);
  // A random matrix has the rank of its corner, which spares the range finder a first look.
  std::vector<double> falling(50);
  for (std::size_t i = 0; i < falling.size(); ++i) falling[i] = 1 / (1 + static_cast<double>(i));
  const Matrix<T> B = on_host<T>(n, n, falling);
  CHECK(corner(check::dense(B), rule).rank == 50);
  const CountingDense<T> counted(B);
  CHECK(matrix_rank<T>(counted).rank == 50);
  CHECK(counted.columns.size() == 2);
}

TEST_CASE("probes: what Lanczos misses falls with starts and steps") {
  using lowrank::lanczos_shortfall;
  CHECK(check::near(lanczos_shortfall(4000, 11, 8).value(), 0.2019, 1e-3));
  CHECK_FALSE(lanczos_shortfall(4000, 11, 3).has_value());
  CHECK_FALSE(lanczos_shortfall(4000, 1, 10).has_value());
  CHECK(lanczos_shortfall(100, 2, 20).value() > lanczos_shortfall(100, 3, 20).value());
  // λ₁ = 1 above λ₂ = 0.8: how often the Ritz value of 4 steps falls short by more than the theorem allows 1 in 5.
  const Index n = 30, trials = 500;
  const std::size_t steps = 4;
  const double allowed = lanczos_shortfall(static_cast<double>(n), 1, steps, 0.2).value();
  Eigen::VectorXd B = 0.8 * Eigen::VectorXd::LinSpaced(n, 0, 1);
  B[n - 1] = 1;
  Index failed = 0;
  for (Index t = 0; t < trials; ++t) {
    check::Dense K(n, static_cast<Index>(steps));
    K.col(0) = check::gaussian(n, 1, static_cast<std::uint64_t>(t)).col(0);
    for (Index j = 1; j < K.cols(); ++j) K.col(j) = B.asDiagonal() * K.col(j - 1);
    const check::Dense Q = Eigen::HouseholderQR<check::Dense>(K).householderQ() * check::Dense::Identity(n, K.cols());
    const Eigen::SelfAdjointEigenSolver<check::Dense> ritz(Q.transpose() * B.asDiagonal() * Q);
    failed += ritz.eigenvalues().maxCoeff() < 1 - allowed;
  }
  CHECK(failed < trials / 5);
}

TEST_CASE("probes: the bounds hold as often as they say") {
  CHECK(check::near(lowrank::least_probe(1, 0.5), std::sqrt(std::acos(-1.0) / 2) / 2, 1e-12));
  // With a failure probability as large as 1 in 10, among 4000 trials.
  Matrix<double> G(4000, 4);
  lowrank::fill_normal<double>(G, 3, 0);
  int failed = 0;
  for (Index i = 0; i < 4000; ++i) {
    std::vector<double> norms;
    for (Index j = 0; j < 4; ++j) norms.push_back(std::abs(G(i, j)));
    failed += lowrank::probed_norm(norms, 0.1) < 1;
  }
  CHECK(failed < 400);
  CHECK(failed > 100);
}
