#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <lowrank/svd/core_svd.hpp>

#include "svd_check.hpp"

/// SVDs of small cores, against the singular values they were made with.

using check::Dense;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::Vectors;

namespace {

/// m×n with singular values first, first·ratio, first·ratio², ...
Matrix<double> core_of(Index m, Index n, double first, double ratio, std::vector<double>& sigma) {
  const Index k = std::min(m, n);
  sigma.clear();
  for (Index i = 0; i < k; ++i) sigma.push_back(first * std::pow(ratio, static_cast<double>(i)));
  const Eigen::JacobiSVD<Dense> bases(check::gaussian(m, n, 5), Eigen::ComputeThinU | Eigen::ComputeThinV);
  Matrix<double> core(m, n);
  core.eigen() =
      bases.matrixU() * Eigen::Map<const Eigen::VectorXd>(sigma.data(), k).asDiagonal() * bases.matrixV().transpose();
  return core;
}

}  // namespace

TEST_CASE_TEMPLATE("core_svd: values and leading triplets of slow and fast decays, tall, square and wide", T, float,
                   double) {
  constexpr double rounding = 300 * check::eps<double>, good = std::is_same_v<T, float> ? 8 * check::eps<T> : rounding;
  for (const auto& [m, n] : {std::pair<Index, Index>{1, 1}, {40, 40}, {72, 48}, {30, 45}})
    for (const double first : {1e-12, 1.0, 1e12})
      for (const double ratio : {1.0, 0.97, 0.7, 0.2}) {
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(first);
        CAPTURE(ratio);
        std::vector<double> sigma;
        const Matrix<double> core = core_of(m, n, first, ratio, sigma);
        const std::vector<double> values = lowrank::core_values<T>(core);
        REQUIRE(values.size() == sigma.size());
        CHECK(check::falling(values));
        for (std::size_t i = 0; i < sigma.size(); ++i) CHECK(std::abs(values[i] - sigma[i]) <= good * sigma.front());
        for (const Index count : {Index{1}, std::min(m, n) / 2, std::min(m, n)}) {
          if (count == 0) continue;
          const auto svd = lowrank::core_svd<T>(core, count);
          REQUIRE(svd.U.cols() >= count);
          REQUIRE(svd.V.cols() >= count);
          const Dense U = check::dense(svd.U).leftCols(count), V = check::dense(svd.V).leftCols(count);
          const Eigen::VectorXd S = Eigen::Map<const Eigen::VectorXd>(svd.S.data(), count);
          const Dense identity = Dense::Identity(count, count);
          CHECK((U.transpose() * U - identity).norm() <= good);
          CHECK((V.transpose() * V - identity).norm() <= rounding);
          CHECK((core.eigen() * V - U * S.asDiagonal()).norm() <= rounding * first);
          CHECK((core.eigen().transpose() * U - V * S.asDiagonal()).norm() <= good * first);
        }
      }
}

TEST_CASE_TEMPLATE("core_svd: a core that is zero, and one with zero columns", T, float, double) {
  Matrix<double> core(20, 12);
  core.eigen().setZero();
  for (const double value : lowrank::core_values<T>(core)) CHECK(value == 0);
  const auto zero = lowrank::core_svd<T>(core, 3);
  CHECK(check::orthogonality_ratio<double>(check::dense(zero.U).leftCols(3)) < 40);
  core(4, 7) = 3;
  const auto one = lowrank::core_svd<T>(core, 2);
  CHECK(one.S[0] == doctest::Approx(3));
  CHECK(one.S[1] == 0);
  CHECK(check::orthogonality_ratio<double>(check::dense(one.U).leftCols(2)) < 40);
}

TEST_CASE("symmetric_eigen: eigenvalues of either sign, in falling order, with their vectors") {
  for (const Index n : {Index{0}, Index{1}, Index{2}, Index{33}, Index{90}}) {
    CAPTURE(n);
    const Dense random = check::gaussian(n, n, 3), G = random + random.transpose();
    Matrix<double> given(n, n);
    given.eigen() = G;
    const auto found = lowrank::symmetric_eigen(given, Vectors::thin);
    REQUIRE(found);
    REQUIRE(found->values.size() == static_cast<std::size_t>(n));
    CHECK(std::is_sorted(found->values.rbegin(), found->values.rend()));
    const Dense V = check::dense(found->vectors);
    const Eigen::VectorXd values = Eigen::Map<const Eigen::VectorXd>(found->values.data(), n);
    CHECK((G * V - V * values.asDiagonal()).norm() <= 100 * check::eps<double> * (G.norm() + 1));
    CHECK((V.transpose() * V - Dense::Identity(n, n)).norm() <= 100 * check::eps<double>);
    const auto alone = lowrank::symmetric_eigen(given, Vectors::none);
    REQUIRE(alone);
    for (Index i = 0; i < n; ++i)
      CHECK(std::abs(alone->values[static_cast<std::size_t>(i)] - values(i)) <= 100 * check::eps<double> * G.norm());
  }
  for (const auto& [m, n] : {std::pair<Index, Index>{6, 2}, {3, 4}, {0, 1}})
    CHECK_THROWS_AS(lowrank::symmetric_eigen(Matrix<double>(m, n), Vectors::none), std::invalid_argument);
}
