#include <Eigen/SVD>
#include <array>
#include <limits>
#include <lowrank/core/error.hpp>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using check::orders;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::Order;
using lowrank::SvdDriver;
using lowrank::Vectors;

namespace {

/// Panels with every defect that a QR meets.
std::vector<Dense> panels(Index m, Index k) {
  std::vector<Dense> all{check::gaussian(m, k, 1), Dense::Zero(m, k), Dense::Ones(m, k)};
  Dense deficient = check::gaussian(m, k, 2);
  if (k > 2) deficient.col(1) = 2 * deficient.col(0), deficient.col(k - 1).setZero();
  all.push_back(deficient);
  Dense last_row = Dense::Zero(m, k);
  last_row.bottomRows(std::min<Index>(m, 1)).setOnes();
  all.push_back(last_row);
  if (m > 4 && k > 2) all.push_back(check::gaussian(m, 2, 3) * check::gaussian(2, k, 4));
  all.push_back(-Dense::Identity(m, k));
  return all;
}

template <class T>
void check_thin_svd(const Dense& A, const lowrank::ThinSvd<T>& svd) {
  const Index k = std::min(A.rows(), A.cols());
  REQUIRE(svd.U.rows() == A.rows());
  REQUIRE(svd.U.cols() == k);
  REQUIRE(svd.V.rows() == A.cols());
  REQUIRE(svd.V.cols() == k);
  REQUIRE(svd.S.size() == static_cast<std::size_t>(k));
  CHECK(check::falling(svd.S));
  CHECK(check::orthogonality_ratio<T>(check::dense(svd.U)) < 40);
  CHECK(check::orthogonality_ratio<T>(check::dense(svd.V)) < 40);
  CHECK(check::residual_ratio<T>(A, check::dense(svd.U), svd.S, check::dense(svd.V)) < 20);
}

/// max|σ - σ'| / (eps·max(m, n)·σ₁).
template <class T>
double value_ratio(const std::vector<T>& found, const std::vector<double>& expected, Index larger) {
  REQUIRE(found.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
  return expected.empty() || expected[0] == 0 ? worst
                                              : worst / (check::eps<T> * static_cast<double>(larger) * expected[0]);
}

}  // namespace

TEST_CASE_TEMPLATE("householder_qr: orthonormal Q, R with a non-negative diagonal, for any panel", T, float, double) {
  for (const auto [m, k] : {std::array<Index, 2>{1, 1},
                            {5, 5},
                            {7, 3},
                            {33, 8},
                            {200, 31},
                            {1000, 10},
                            {7003, 40},
                            {4100, 108},
                            {4, 0},
                            {0, 0}})
    for (const Dense& panel : panels(m, k))
      for (const Order order : orders) {
        const Dense X = check::rounded<T>(panel);
        Laid<T> laid(X, order, 3);
        const Matrix<double> R = lowrank::householder_qr<T>(laid);
        REQUIRE(R.rows() == k);
        REQUIRE(R.cols() == k);
        const Dense Q = check::dense<T>(laid), upper = check::dense(R);
        CAPTURE(m);
        CAPTURE(k);
        CHECK(check::orthogonality_ratio<T>(Q) < 20 * std::sqrt(static_cast<double>(std::max<Index>(k, 1))));
        CHECK(check::difference_ratio<T>(Q * upper, X) < 20);
        CHECK((upper.diagonal().array() >= 0).all());
        CHECK(upper.isUpperTriangular(0));
        CHECK(laid.gaps_untouched());
      }
}

TEST_CASE_TEMPLATE("householder_qr: a NaN in a panel of many slices is refused, and nothing ends", T, float, double) {
  Dense X = check::gaussian(40000, 9, 1);
  X(39999, 3) = std::numeric_limits<double>::quiet_NaN();
  Laid<T> laid(X, Order::col_major);
  CHECK_THROWS_AS(lowrank::householder_qr<T>(laid), lowrank::Error);
}

TEST_CASE_TEMPLATE("householder_qr: scales near the ends of the number range", T, float, double) {
  const double small = std::is_same_v<T, float> ? 1e-30 : 1e-300, large = 1 / small;
  for (const double scale : {small, large}) {
    const Dense X = check::rounded<T>(check::gaussian(30, 5, 1) * scale);
    Laid<T> laid(X, Order::col_major);
    const Dense R = check::dense(lowrank::householder_qr<T>(laid));
    CHECK(check::orthogonality_ratio<T>(check::dense<T>(laid)) < 20);
    CHECK(check::difference_ratio<T>(check::dense<T>(laid) * (R / scale), X / scale) < 20);
  }
}

TEST_CASE_TEMPLATE("pivoted_qr: |R(i, i)| falls and the Gram matrix is kept", T, float, double) {
  for (const auto [m, n] : {std::array<Index, 2>{1, 1}, {6, 6}, {20, 7}, {7, 20}, {60, 33}, {33, 60}, {0, 3}, {3, 0}})
    for (const Order order : orders)
      for (const Dense& panel : {check::gaussian(m, n, 1), Dense(check::gaussian(m, 2, 2) * check::gaussian(2, n, 3)),
                                 Dense(Dense::Zero(m, n))}) {
        const Dense A = check::rounded<T>(panel);
        Laid<T> laid(A, order, 2);
        const auto qr = lowrank::pivoted_qr<T>(laid);
        const Index k = std::min(m, n);
        REQUIRE(qr.R.rows() == k);
        REQUIRE(qr.R.cols() == n);
        CHECK(check::dense<T>(laid) == A);  // A is kept
        std::vector<Index> sorted = qr.permutation;
        std::sort(sorted.begin(), sorted.end());
        REQUIRE(static_cast<Index>(sorted.size()) == n);
        for (Index j = 0; j < n; ++j) CHECK(sorted[static_cast<std::size_t>(j)] == j);
        const Dense R = check::dense(qr.R);
        CHECK(R.isUpperTriangular(0));
        for (Index i = 1; i < k; ++i) CHECK(std::abs(R(i, i)) <= std::abs(R(i - 1, i - 1)) * (1 + 100 * check::eps<T>));
        Dense AP(m, n);
        for (Index j = 0; j < n; ++j) AP.col(j) = A.col(qr.permutation[static_cast<std::size_t>(j)]);
        CHECK(check::difference_ratio<T>(R.transpose() * R, AP.transpose() * AP) < 20);
      }
}

TEST_CASE_TEMPLATE("thin_svd: each driver as the first gives the same decomposition", T, float, double) {
  for (const auto [m, n] : {std::array<Index, 2>{1, 1}, {1, 9}, {9, 1}, {8, 8}, {40, 13}, {13, 40}, {120, 75}})
    for (const Dense& given : panels(m, n)) {
      const Dense A = check::rounded<T>(given);
      const Eigen::JacobiSVD<Dense> reference(A);
      const std::vector<double> expected(reference.singularValues().begin(), reference.singularValues().end());
      for (const Order order : orders)
        for (const SvdDriver first : {SvdDriver::gesdd, SvdDriver::gesvd, SvdDriver::jacobi}) {
          Laid<T> laid(A, order, 3);
          const auto svd = lowrank::thin_svd<T>(laid, Vectors::thin, first);
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(static_cast<int>(first));
          CHECK(svd.driver >= first);
          CHECK(check::dense<T>(laid) == A);
          check_thin_svd<T>(A, svd);
          CHECK(value_ratio<T>(svd.S, expected, std::max(m, n)) < 4);
          const auto values = lowrank::thin_svd<T>(laid, Vectors::none, first);
          CHECK(values.U.empty());
          CHECK(values.V.empty());
          CHECK(value_ratio<T>(values.S, expected, std::max(m, n)) < 4);
        }
    }
}

TEST_CASE_TEMPLATE("thin_svd: empty matrices", T, float, double) {
  for (const auto [m, n] : {std::array<Index, 2>{0, 0}, {0, 5}, {5, 0}}) {
    const auto svd = lowrank::thin_svd<T>(Matrix<T>(m, n));
    CHECK(svd.S.empty());
    CHECK(svd.U.cols() == 0);
    CHECK(svd.V.cols() == 0);
  }
}

TEST_CASE_TEMPLATE("thin_svd: graded values and the ends of the number range", T, float, double) {
  std::vector<double> sigma;
  for (int i = 0; i < 30; ++i) sigma.push_back(std::pow(10.0, -i));
  const double small = std::is_same_v<T, float> ? 1e-30 : 1e-290, large = 1 / small;
  for (const double scale : {1.0, small, large}) {
    const Dense A = check::rounded<T>(check::with_spectrum(60, 40, sigma, 3) * scale);
    Laid<T> laid(A, Order::col_major);
    for (const SvdDriver first : {SvdDriver::gesdd, SvdDriver::gesvd, SvdDriver::jacobi}) {
      const auto svd = lowrank::thin_svd<T>(laid, Vectors::thin, first);
      std::vector<double> S;
      for (const T value : svd.S) S.push_back(static_cast<double>(value) / scale);
      CHECK(check::residual_ratio<T>(A / scale, check::dense(svd.U), S, check::dense(svd.V)) < 20);
      CHECK(check::near(S[0], 1, 100 * check::eps<T>));
    }
  }
}
