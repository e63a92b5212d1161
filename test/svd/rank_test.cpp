#include <lowrank/svd/rank.hpp>

#include "svd_check.hpp"

using check::Dense;
using check::Laid;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::matrix_rank;
using lowrank::RankMethod;
using lowrank::RankOptions;

namespace {

constexpr RankMethod rank_methods[] = {RankMethod::automatic, RankMethod::svd, RankMethod::qr, RankMethod::randomized};

template <class T>
Matrix<T> with_values(Index m, Index n, std::vector<double> sigma, std::uint64_t seed = 3) {
  return check::there(lowrank::generate<T>({.rows = m, .cols = n, .sigma = std::move(sigma), .seed = seed}));
}

}  // namespace

TEST_CASE_TEMPLATE("rank: larger matrices of known rank, by every method", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{700, 500}, {400, 600}, {500, 500}})
    for (const Index rank : {1, 60, 390})
      for (const RankMethod method : rank_methods) {
        const auto A = check::there(lowrank::generate<T>({.rows = m, .cols = n, .rank = rank, .seed = 2}));
        const auto found = matrix_rank(A, {.method = method});
        CAPTURE(m);
        CAPTURE(rank);
        CAPTURE(static_cast<int>(method));
        CAPTURE(found.reason);
        CHECK(found.rank == rank);
        CHECK(found.certified);
        CHECK(found.sigma_rank > found.tolerance);
        CHECK(found.sigma_next <= found.tolerance);
        CHECK(check::near(found.frobenius_norm, check::dense(A).norm(), 1e-5));
        CHECK(!found.reason.empty());
        if (method == RankMethod::svd) CHECK(found.method == "svd");
      }
}

TEST_CASE_TEMPLATE("rank: full rank, well conditioned and not", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{600, 400}, {400, 600}, {500, 500}}) {
    const Index k = std::min(m, n);
    for (const char* spectrum : {"flat", "poly:1", "step:100,1e-3"}) {
      const auto A = with_values<T>(m, n, lowrank::spectrum(spectrum, k));
      for (const RankMethod method : rank_methods) {
        const auto found = matrix_rank(A, {.method = method});
        CAPTURE(spectrum);
        CAPTURE(found.reason);
        CHECK(found.rank == k);
        CHECK(found.certified);
        CHECK(found.sigma_next == 0);
      }
    }
  }
}

TEST_CASE_TEMPLATE("rank: automatic takes a cheap certificate for a large matrix of low rank", T, float, double) {
  const auto A = check::there(lowrank::generate<T>({.rows = 1000, .cols = 800, .rank = 20, .seed = 2}));
  const auto found = matrix_rank(A);
  CHECK(found.rank == 20);
  CHECK(found.method == "randomized");
  CHECK(found.certified);
  const auto full = check::there(lowrank::generate<T>({.rows = 1000, .cols = 800, .seed = 2}));
  const auto all = matrix_rank(full);
  CHECK(all.rank == 800);
  CHECK(all.certified);
}

TEST_CASE_TEMPLATE("rank: values close to the tolerance are decided right, or by the SVD", T, float, double) {
  const Index m = 300, n = 200;
  const double tol = static_cast<double>(m) * check::eps<T>;
  // The tail stands well above (rank 200), well below (rank 30), or at some distance from NumPy's tolerance.
  for (const auto& [tail, expected] :
       {std::pair<double, Index>{30 * tol, n}, {tol / 30, 30}, {4 * tol, n}, {tol / 10, 30}}) {
    std::vector<double> sigma(static_cast<std::size_t>(n), tail);
    std::fill_n(sigma.begin(), 30, 1.0);
    const auto A = with_values<T>(m, n, sigma);
    for (const RankMethod method : rank_methods) {
      const auto found = matrix_rank(A, {.method = method});
      CAPTURE(tail / tol);
      CAPTURE(found.reason);
      CHECK(found.rank == expected);
    }
  }
}

TEST_CASE_TEMPLATE("rank: a singular value at the tolerance is not certified, and the SVD decides", T, float, double) {
  std::vector<double> sigma(150, 0.0);
  std::fill_n(sigma.begin(), 12, 1.0);
  sigma[12] = 1e-3;
  const auto A = with_values<T>(220, 150, sigma);
  const double at = check::singular_values(check::dense(A))[12];
  for (const RankMethod method : rank_methods) {
    const auto found = matrix_rank(A, {.tol = at, .method = method});
    CHECK((found.rank == 12 || found.rank == 13));
    CHECK(found.method == "svd");
    CHECK_FALSE(found.certified);
    const auto below = matrix_rank(A, {.tol = at / 4, .method = method});
    CHECK(below.rank == 13);
    CHECK(below.certified);
    const auto above = matrix_rank(A, {.tol = at * 4, .method = method});
    CHECK(above.rank == 12);
    CHECK(above.certified);
  }
}

TEST_CASE_TEMPLATE("rank: absolute and relative tolerances and what they are called", T, float, double) {
  const auto A = with_values<T>(120, 90, {100, 10, 1, 0.1, 0.01});
  for (const RankMethod method : rank_methods) {
    const auto absolute = matrix_rank(A, {.tol = 0.5, .method = method});
    CHECK(absolute.rank == 3);
    CHECK(absolute.tolerance == 0.5);
    CHECK(absolute.convention == "absolute");
    CHECK(absolute.sigma_next <= 0.5);
    const auto relative = matrix_rank(A, {.rtol = 0.05, .method = method});
    CHECK(relative.rank == 2);
    CHECK(check::near(relative.tolerance, 5, 1e-3));
    CHECK(relative.convention == "relative: rtol * sigma_max");
    CHECK(matrix_rank(A, {.tol = 1000, .method = method}).rank == 0);
    const auto standard = matrix_rank(A, {.method = method});
    CHECK(standard.rank == 5);
    CHECK(standard.convention == "numpy: max(m, n) * eps * sigma_max");
  }
}

TEST_CASE_TEMPLATE("rank: tolerances given twice or out of range are refused", T, float, double) {
  const auto A = with_values<T>(12, 9, {3, 2, 1});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const RankOptions& options : {RankOptions{.tol = 1, .rtol = 0.1}, RankOptions{.tol = 0}, RankOptions{.rtol = 0},
                                     RankOptions{.tol = nan}, RankOptions{.rtol = nan}}) {
    CAPTURE(options.tol);
    CAPTURE(options.rtol);
    CHECK_THROWS_AS(matrix_rank(A, options), std::invalid_argument);
  }
}

TEST_CASE_TEMPLATE("rank: NaN and Inf are named with their place", T, float, double) {
  for (const RankMethod method : rank_methods) {
    Laid<T> A(check::gaussian(40, 30, 1), check::Order::row_major, 3);
    A(31, 17) = std::numeric_limits<T>::quiet_NaN();
    auto message = check::refusal([&] { matrix_rank(A.view(), {.method = method}); });
    for (const char* part : {"NaN", "31", "17"}) CHECK(check::contains(message, part));
    A(31, 17) = std::numeric_limits<T>::infinity();
    message = check::refusal([&] { matrix_rank(A.view(), {.method = method}); });
    for (const char* part : {"Inf", "31", "17"}) CHECK(check::contains(message, part));
  }
}

TEST_CASE_TEMPLATE("rank: zero, empty and single entries", T, float, double) {
  for (const RankMethod method : rank_methods) {
    for (const auto& [m, n] : {std::pair<Index, Index>{0, 0}, {0, 5}, {5, 0}}) {
      const auto found = matrix_rank(Matrix<T>(m, n, check::device()), {.method = method});
      CHECK(found.rank == 0);
      CHECK(found.certified);
    }
    for (const auto& [m, n] : {std::pair<Index, Index>{1, 1}, {1, 30}, {30, 1}, {300, 200}}) {
      Matrix<T> A(m, n, check::device());
      lowrank::fill<T>(A, 0);
      const auto zero = matrix_rank(A, {.method = method});
      CHECK(zero.rank == 0);
      CHECK(zero.certified);
      CHECK(zero.sigma_max == 0);
      CHECK(zero.sigma_next == 0);
      check::set_entry<T>(A, m - 1, n - 1, T(-1e-20));
      const auto one = matrix_rank(A, {.method = method});
      CHECK(one.rank == 1);
      CHECK(check::near(one.sigma_max, 1e-20, 1e-5));
    }
  }
}

TEST_CASE_TEMPLATE("rank: the ends of the number range", T, float, double) {
  const bool single = std::is_same_v<T, float>;
  for (const double scale : {single ? 1e36 : 1e305, single ? 1e-33 : 1e-300})
    for (const RankMethod method : rank_methods) {
      Laid<T> A(check::gaussian(300, 12, 1) * check::gaussian(12, 220, 2) * scale, check::Order::col_major);
      const auto found = matrix_rank(A.view(), {.method = method});
      CAPTURE(scale);
      CAPTURE(found.reason);
      CHECK(found.rank == 12);
      CHECK(std::isfinite(found.frobenius_norm));
      CHECK(check::near(found.sigma_max / scale, check::spectral_norm(check::dense<T>(A) / scale), 1e-3));
      CHECK(found.stable_rank > 1);
      CHECK(found.stable_rank <= 12.0001);
    }
}

TEST_CASE_TEMPLATE("rank: Kahan's matrix does not fool the pivoted QR", T, float, double) {
  // Its R has a diagonal that stays far above σ_min: no pivoting takes place.
  const auto A = check::family_matrix<T>({"kahan", "", 0, "kahan"}, 90, 90);
  const auto sigma = check::singular_values(check::dense(A));
  for (std::size_t i = 85; i < 90; ++i) {
    const double tol = i == 89 ? sigma[89] * 3 : std::sqrt(sigma[i] * sigma[i - 1]);
    if (tol < 200 * check::eps<T> * sigma[0] || sigma[i - 1] < 1.05 * sigma[i]) continue;
    for (const RankMethod method : rank_methods) {
      const auto found = matrix_rank(A, {.tol = tol, .method = method});
      const auto expected = std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > tol; });
      CAPTURE(found.reason);
      CHECK(found.rank == expected);
    }
  }
}

TEST_CASE("rank: Kahan's least value lies between NumPy's tolerance and what a QR's diagonal shows") {
  const auto A = check::family_matrix<double>({"kahan", "", 0, "kahan"}, 90, 90);
  const auto sigma = check::singular_values(check::dense(A));
  const double tol = 90 * check::eps<double> * sigma[0];
  const auto expected = std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > tol; });
  for (const RankMethod method : rank_methods) CHECK(matrix_rank(A, {.method = method}).rank == expected);
}

TEST_CASE_TEMPLATE("rank: a Gram matrix would lose what lies under √eps", T, float, double) {
  const double mu = std::sqrt(check::eps<T>) / 5;  // Läuchli
  Dense A = Dense::Zero(13, 12);
  A.row(0).setOnes();
  A.bottomRows(12) = mu * Dense::Identity(12, 12);
  Laid<T> laid(A, check::Order::col_major);
  for (const RankMethod method : rank_methods) CHECK(matrix_rank(laid.view(), {.method = method}).rank == 12);
}

TEST_CASE_TEMPLATE("rank: constant columns, repeated rows, and both orders", T, float, double) {
  Dense A = check::gaussian(400, 300, 1);
  for (Index j = 5; j < 300; ++j) A.col(j) = A.col(j % 5);
  for (const check::Order order : {check::Order::col_major, check::Order::row_major})
    for (const RankMethod method : rank_methods) {
      CHECK(matrix_rank(Laid<T>(A, order, 3).view(), {.method = method}).rank == 5);
      CHECK(matrix_rank(Laid<T>(Dense::Constant(400, 300, 0.1), order).view(), {.method = method}).rank == 1);
    }
}

TEST_CASE_TEMPLATE("rank: the same for every seed and number of threads", T, float, double) {
  const auto A = check::there(lowrank::generate<T>({.rows = 500, .cols = 400, .rank = 33, .seed = 2}));
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const check::Threads threads(seed % 2 == 0 ? 1 : 2);
    const auto found = matrix_rank(A, {.method = RankMethod::randomized, .seed = seed});
    CHECK(found.rank == 33);
    CHECK(found.certified);
  }
}

TEST_CASE_TEMPLATE("rank: gap, stable rank and the values of a full SVD", T, float, double) {
  const std::vector<double> sigma{8, 4, 2, 1, 1e-4};
  const auto A = with_values<T>(60, 50, sigma);
  const auto found = matrix_rank(A, {.tol = 0.01, .method = RankMethod::svd});
  CHECK(found.rank == 4);
  CHECK(found.certified);
  CHECK(check::near(found.sigma_max, 8, 1e-5));
  CHECK(check::near(found.sigma_rank, 1, 1e-4));
  CHECK(check::near(found.sigma_next, 1e-4, 0.05));
  CHECK(check::near(found.stable_rank, 85.0 / 64, 1e-4));
  CHECK(check::near(found.frobenius_norm, std::sqrt(85.0), 1e-5));
  REQUIRE(found.singular_values.size() == 50);
  CHECK(check::falling(found.singular_values));
  CHECK(check::near(found.singular_values[2], 2, 1e-5));
  for (const RankMethod method : rank_methods) {
    const auto other = matrix_rank(A, {.tol = 0.01, .method = method});
    CHECK(check::near(other.stable_rank, 85.0 / 64, 1e-3));
    CHECK(other.seconds >= 0);
  }
}

TEST_CASE("rank: effective rank and rank at given energies") {
  CHECK(check::near(lowrank::effective_rank({1, 1, 1, 1}), 4, 2e-5));
  CHECK(check::near(lowrank::effective_rank({5, 0, 0}), 1, 2e-5));
  CHECK(check::near(lowrank::effective_rank({3, 1}), std::exp(0.75 * std::log(4 / 3.0) + 0.25 * std::log(4.0)), 2e-5));
  CHECK(lowrank::effective_rank({}) == 0);
  CHECK(lowrank::effective_rank({0, 0}) == 0);
  const std::vector<double> sigma{3, 2, 1};
  const double norm = std::sqrt(14.0);
  CHECK(lowrank::rank_at_energy(sigma, norm, 0.5) == 1);
  CHECK(lowrank::rank_at_energy(sigma, norm, 9.01 / 14) == 2);
  CHECK(lowrank::rank_at_energy(sigma, norm, 0.92) == 2);
  CHECK(lowrank::rank_at_energy(sigma, norm, 0.95) == 3);
  CHECK(lowrank::rank_at_energy(sigma, norm, 1.0) == 3);
}
