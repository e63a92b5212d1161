#include <lowrank/core/error.hpp>
#include <lowrank/svd/rank.hpp>

#include "svd_check.hpp"

// Matrices that lead a stopping rule, a bound or a basis astray.

using check::Dense;
using check::Reference;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::SvdMethod;
using lowrank::Truncation;

namespace {

template <class T>
Matrix<T> with_values(const std::vector<double>& sigma, Index rows, Index cols, std::uint64_t seed) {
  return check::there(lowrank::generate<T>({.rows = rows, .cols = cols, .sigma = sigma, .seed = seed}));
}

}  // namespace

TEST_CASE_TEMPLATE("svd hard: two plateaus under a few large values, the rank at the end of the upper one", T, float,
                   double) {
  for (const auto& [n, k, upper] :
       {std::tuple<Index, Index, double>{600, 120, 1.35}, {600, 60, 1.2}, {900, 180, 1.35}, {600, 120, 1.08}})
    for (const std::uint64_t seed : {1, 2}) {
      std::vector<double> sigma(static_cast<std::size_t>(n), 1.0);
      std::fill_n(sigma.begin(), k, std::sqrt(upper));
      sigma[0] = 40, sigma[1] = 30, sigma[2] = 20;
      CAPTURE(n);
      CAPTURE(k);
      const Matrix<T> A = with_values<T>(sigma, n, n, seed);
      check::check_svd<T>(Reference<T>(A), {.rank = k}, lowrank::truncated_svd(A, {.rank = k}));
    }
}

TEST_CASE("svd hard: a large mean under noise far below what the norms can tell") {
  for (const auto& [m, n] : {std::pair<Index, Index>{400, 400}, {284, 475}})
    for (const double noise : {1e-8, 1e-9}) {
      CAPTURE(m);
      CAPTURE(noise);
      const Matrix<double> A = check::matrix_of<double>(Dense::Ones(m, n) + noise * check::gaussian(m, n, 5));
      const Reference<double> reference(A);
      for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::krylov})
        check::check_svd<double>(reference, {.rank = 64}, lowrank::truncated_svd(A, {.rank = 64}, {.method = method}));
    }
}

TEST_CASE("svd hard: a tolerance near float's rounding takes no more triplets than it needs") {
  std::vector<double> sigma;
  for (int i = 1; i <= 500; ++i) sigma.push_back(1.0 / (i * i));
  const Matrix<float> A = with_values<float>(sigma, 500, 600, 3);
  const Reference<float> reference(A);
  for (const double rtol : {3e-3, 1.5e-3, 1e-3, 7e-4}) {
    CAPTURE(rtol);
    check::check_svd<float>(reference, {.rtol = rtol}, lowrank::truncated_svd(A, {.rtol = rtol}));
  }
}

TEST_CASE("svd hard: a tolerance that measurements of two kinds meet or miss stays met") {
  // Before the last triplet is given back the error is measured by its entries, after that by the norms.
  for (const double rtol : {0.0122, 0.0125, 0.013, 0.015})
    for (const double last : {0.5, 0.9, 0.99}) {
      CAPTURE(rtol);
      CAPTURE(last);
      std::vector<double> sigma(300, 0.0108 / std::sqrt(290.0));
      for (std::size_t i = 0; i < 9; ++i) sigma[i] = 1.0 / 3;
      sigma[9] = last * std::sqrt(rtol * rtol - 0.0108 * 0.0108);
      const Matrix<float> A = with_values<float>(sigma, 320, 300, 6);
      const auto svd = lowrank::truncated_svd(A, {.rtol = rtol});
      CHECK(svd.converged);
      CHECK(svd.certificate.relative_error <= rtol);
    }
}

TEST_CASE("svd hard: singular values beyond the range of float are refused, not Inf") {
  const Dense signs = check::gaussian(300, 250, 1).array().sign();
  for (const Dense& A : {Dense(Dense::Constant(300, 250, 3e38)), Dense(signs * 3e38)})
    for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::krylov, SvdMethod::randomized, SvdMethod::exact})
      CHECK_THROWS_WITH_AS(lowrank::truncated_svd(check::matrix_of<float>(A), {.rank = 5}, {.method = method}),
                           doctest::Contains("beyond the range of f32"), lowrank::Error);
  // Where they are within, so is all that is said.
  const Matrix<float> large = check::matrix_of<float>(signs * 1e36);
  check::check_svd<float>(Reference<float>(large), {.rank = 5}, lowrank::truncated_svd(large, {.rank = 5}));
}

TEST_CASE("svd hard: the error of a matrix near the smallest floats is the one of its factors") {
  const Matrix<float> A =
      check::matrix_of<float>(check::dense(check::family_matrix<float>({"", "exp:0.25"}, 300, 250)) * 1e-38);
  const Reference<float> reference(A);
  const auto svd = lowrank::truncated_svd(A, {.rank = 10});
  const Dense E = reference.A - check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
  CHECK(svd.certificate.relative_error >= E.norm() / reference.norm * (1 - 1e-3));
  CHECK(svd.certificate.relative_error <= E.norm() / reference.norm * (1 + 1e-2));
}

TEST_CASE_TEMPLATE("svd hard: after an exact SVD some singular value lies within the residual of each", T, float,
                   double) {
  std::vector<double> sigma;
  for (int i = 0; i < 200; ++i) sigma.push_back(std::pow(10.0, -0.06 * i));
  for (const auto& [m, n] : {std::pair<Index, Index>{300, 200}, {200, 410}}) {
    const Matrix<T> A = with_values<T>(sigma, m, n, 4);
    const Reference<T> reference(A);
    const auto svd = lowrank::truncated_svd(A, {.rank = 64}, {.method = SvdMethod::exact});
    check::check_svd<T>(reference, {.rank = 64}, svd);
    Eigen::VectorXd S(64);
    for (Index i = 0; i < 64; ++i) S(i) = static_cast<double>(svd.S[static_cast<std::size_t>(i)]);
    const Dense U = check::dense(svd.U), V = check::dense(svd.V);
    for (const Dense& D :
         {Dense(reference.A * V - U * S.asDiagonal()), Dense(reference.A.transpose() * U - V * S.asDiagonal())})
      CHECK(svd.certificate.triplet_residual >= D.colwise().norm().maxCoeff() - 2 * check::eps<T>);
  }
}

TEST_CASE_TEMPLATE("rank hard: few rows that are not zero", T, float, double) {
  for (const Index rows : {33, 36, 39, 40, 41}) {
    CAPTURE(rows);
    Dense A = Dense::Zero(600, 700);
    for (Index i = 0; i < rows; ++i) A.row((i * 37) % 600) = check::gaussian(1, 700, static_cast<int>(i) + 50);
    for (const lowrank::RankMethod method : {lowrank::RankMethod::automatic, lowrank::RankMethod::randomized}) {
      const auto result = lowrank::matrix_rank(check::matrix_of<T>(A), {.method = method});
      CHECK(result.rank == rows);
      CHECK(result.certified);
    }
  }
  const auto constant = lowrank::matrix_rank(check::matrix_of<T>(Dense::Ones(700, 555)), {.tol = 1e-26});
  CHECK(constant.rank >= 1);
}

TEST_CASE("rank hard: the smallest floats there are") {
  const float least = std::numeric_limits<float>::denorm_min();
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Dense some = (check::gaussian(600, 600, static_cast<int>(seed)).array() > 0).cast<double>();
    const auto expected = lowrank::matrix_rank(check::matrix_of<float>(some));
    for (const lowrank::RankMethod method : {lowrank::RankMethod::automatic, lowrank::RankMethod::qr}) {
      const auto result =
          lowrank::matrix_rank(check::matrix_of<float>(some * static_cast<double>(least)), {.method = method});
      CHECK(result.rank == expected.rank);
    }
  }
}
