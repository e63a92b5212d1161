#include <Eigen/QR>
#include <lowrank/cpu/pivoted_qr.hpp>
#include <numeric>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using check::orders;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::Order;

namespace {

Dense permuted(const Dense& A, const std::vector<Index>& permutation) {
  Dense AP(A.rows(), A.cols());
  for (Index j = 0; j < A.cols(); ++j) AP.col(j) = A.col(permutation[static_cast<std::size_t>(j)]);
  return AP;
}

/// min over orthonormal Q of ‖AP - Q·R‖_F / (eps·max(m, n)·‖A‖_F): the best Q is U·Vᵀ of the SVD of AP·Rᵀ.
template <class T>
double qr_ratio(const Dense& AP, const Dense& R) {
  const auto svd = lowrank::thin_svd<double>(Dense(AP * R.transpose()));
  const Dense Q = check::dense(svd.U) * check::dense(svd.V).transpose();
  return check::difference_ratio<T>(Q * R, AP);
}

bool is_permutation(std::vector<Index> permutation) {
  std::sort(permutation.begin(), permutation.end());
  std::vector<Index> all(permutation.size());
  std::iota(all.begin(), all.end(), Index{0});
  return permutation == all;
}

std::vector<double> decaying(Index count, double from, double to) {
  std::vector<double> sigma;
  for (Index i = 0; i < count; ++i)
    sigma.push_back(from * std::pow(to / from, static_cast<double>(i) / static_cast<double>(count - 1)));
  return sigma;
}

}  // namespace

TEST_CASE_TEMPLATE("sketched pivoted QR: an orthonormal Q gives back the matrix", T, float, double) {
  for (const auto [m, n] :
       {std::array<Index, 2>{1, 1}, {9, 9}, {40, 13}, {13, 40}, {65, 64}, {130, 70}, {70, 130}, {1, 30}, {30, 1}})
    for (const Order order : orders)
      for (const Index block : {5, 16, 64})
        for (const Dense& given : {check::gaussian(m, n, 1), Dense(check::gaussian(m, 2, 2) * check::gaussian(2, n, 3)),
                                   Dense(Dense::Zero(m, n)), Dense(Dense::Ones(m, n)), Dense(Dense::Identity(m, n))}) {
          const Dense A = check::rounded<T>(given);
          Laid<T> laid(A, order, 2);
          const auto qr = lowrank::sketched_pivoted_qr<T>(laid, -1, block);
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(block);
          REQUIRE(qr.R.rows() == std::min(m, n));
          REQUIRE(qr.R.cols() == n);
          CHECK(qr.remainder == 0);
          CHECK(check::dense<T>(laid) == A);
          REQUIRE(is_permutation(qr.permutation));
          const Dense R = check::dense(qr.R);
          CHECK(R.isUpperTriangular(0));
          CHECK(qr_ratio<T>(permuted(A, qr.permutation), R) < 5);
        }
}

TEST_CASE_TEMPLATE("pivoted QR: larger matrices, by the primitive", T, float, double) {
  for (const auto [m, n] : {std::array<Index, 2>{300, 300}, {420, 280}, {280, 420}}) {
    const Dense A = check::rounded<T>(check::with_spectrum(m, n, decaying(200, 1, 1e-3), 4));
    Laid<T> laid(A, Order::row_major);
    const auto qr = lowrank::pivoted_qr<T>(laid);
    REQUIRE(is_permutation(qr.permutation));
    CHECK(qr_ratio<T>(permuted(A, qr.permutation), check::dense(qr.R)) < 5);
  }
}

TEST_CASE("sketched pivoted QR: the diagonal falls about as LAPACK's does") {
  const Index n = 400;
  for (const auto& sigma : {decaying(n, 1, 1e-10), decaying(n, 1, 1e-2), std::vector<double>(n, 1.0)}) {
    const Dense A = check::with_spectrum(n, n, sigma, 7);
    const auto reference = lowrank::lapack_pivoted_qr<double>(A, -1);
    for (const Index block : {32, 64}) {
      const auto qr = lowrank::sketched_pivoted_qr<double>(A, -1, block);
      double above = 0, below = 0;
      for (Index i = 0; i < n; ++i) {
        const double ratio = std::abs(qr.R(i, i) / reference.R(i, i));
        above = std::max(above, ratio);
        below = std::max(below, 1 / ratio);
      }
      CAPTURE(above);
      CAPTURE(below);
      CHECK(above < 10);
      CHECK(below < 10);
    }
  }
}

TEST_CASE_TEMPLATE("pivoted QR: stops with the fewest rows that leave no more than the tolerance", T, float, double) {
  const double noise = std::is_same_v<T, float> ? 1e-4 : 1e-9;
  for (const auto [m, n] : {std::array<Index, 2>{200, 200}, {260, 150}, {150, 260}})
    for (const Index rank : {0, 1, 63, 64, 65, 100}) {
      std::vector<double> sigma(150, noise);
      std::fill_n(sigma.begin(), rank, 1.0);
      const Dense A = check::rounded<T>(check::with_spectrum(m, n, sigma, 5));
      const Laid<T> laid(A, Order::col_major);
      const double tolerance = 100 * noise;
      for (const bool sketched : {true, false}) {
        const auto qr = sketched ? lowrank::sketched_pivoted_qr<T>(laid, tolerance, 32)
                                 : lowrank::lapack_pivoted_qr<T>(laid, tolerance);
        CAPTURE(sketched);
        CAPTURE(rank);
        CHECK(qr.R.rows() == rank);
        CHECK(qr.remainder <= tolerance);
        CHECK(qr.remainder > noise);
        if (rank == 0) continue;
        // What is left is A·P without its part in the span of the leading columns; R is its coefficients.
        const Dense AP = permuted(A, qr.permutation), R = check::dense(qr.R);
        const Eigen::HouseholderQR<Dense> leading(AP.leftCols(rank));
        const Dense Q = leading.householderQ() * Dense::Identity(m, rank);
        const Dense rest = AP - Q * (Q.transpose() * AP);
        CHECK(check::near(qr.remainder, rest.norm(), std::is_same_v<T, float> ? 0.05 : 1e-5));
        CHECK(check::difference_ratio<T>((Q.transpose() * AP).cwiseAbs(), R.cwiseAbs()) < 20);
        CHECK(std::hypot(qr.remainder, R.row(rank - 1).norm()) > tolerance);
      }
    }
}

TEST_CASE("pivoted QR: a tolerance of 0 stops at exact zeros, the whole norm at no row") {
  Dense A = Dense::Zero(90, 80);
  A.topLeftCorner(20, 20) = Dense::Identity(20, 20);
  for (const bool sketched : {true, false}) {
    const auto run = [&](double tolerance) {
      return sketched ? lowrank::sketched_pivoted_qr<double>(A, tolerance, 16)
                      : lowrank::lapack_pivoted_qr<double>(A, tolerance);
    };
    CHECK(run(0).R.rows() == 20);
    CHECK(run(0).remainder == 0);
    CHECK(run(5).R.rows() == 0);
    CHECK(check::near(run(5).remainder, std::sqrt(20.0), 1e-12));
    CHECK(run(2.5).R.rows() == 14);
  }
}

TEST_CASE_TEMPLATE("pivoted QR: rows found do not depend on the number of threads; scales are safe", T, float, double) {
  std::vector<double> sigma(300, std::is_same_v<T, float> ? 1e-6 : 1e-14);
  std::fill_n(sigma.begin(), 140, 1.0);
  const Dense A = check::with_spectrum(320, 300, sigma, 5);
  const double far = std::is_same_v<T, float> ? 1e30 : 1e290;
  for (const int count : {1, 2})
    for (const double scale : {1.0, far, 1 / far}) {
      const check::Threads threads(count);
      const Laid<T> laid(Dense(A * scale), Order::col_major);
      CHECK(lowrank::pivoted_qr<T>(laid, 1e-3 * scale).R.rows() == 140);
    }
}

TEST_CASE_TEMPLATE("upper_inverse: R⁻¹ without a look below the diagonal, or nothing", T, float, double) {
  for (const Index n : {0, 1, 7, 300}) {
    const Dense A = check::gaussian(2 * n + 1, n, 3);
    const Dense R =
        check::rounded<T>(Eigen::HouseholderQR<Dense>(A).matrixQR().topRows(n).template triangularView<Eigen::Upper>());
    for (const Order order : orders) {
      Laid<T> laid(R, order, 3);
      for (Index j = 0; j < n; ++j)
        for (Index i = j + 1; i < n; ++i) laid(i, j) = std::numeric_limits<T>::quiet_NaN();
      const auto inverse = lowrank::upper_inverse<T>(laid);
      REQUIRE(inverse.has_value());
      const Dense X = check::dense(*inverse);
      CHECK(X.isUpperTriangular(0));
      CHECK((X * R - Dense::Identity(n, n)).norm() <= 100 * check::eps<double> * static_cast<double>(n));
      if (n == 0) continue;
      laid(n / 2, n / 2) = 0;
      CHECK_FALSE(lowrank::upper_inverse<T>(laid).has_value());
    }
  }
  CHECK_THROWS_AS(lowrank::upper_inverse<T>(Matrix<T>(3, 4)), std::invalid_argument);
}

TEST_CASE_TEMPLATE("lu_in_float: solves with A and its transpose to float's accuracy", T, float, double) {
  const double far = std::is_same_v<T, float> ? 1e30 : 1e200;
  for (const Index n : {1, 30, 256, 300})
    for (const Order order : orders)
      for (const double scale : {1.0, far, 1 / far}) {
        std::vector<double> sigma = decaying(n + 1, 2, 0.05);
        sigma.pop_back();
        const Dense A = check::with_spectrum(n, n, sigma, 9) * scale;
        Laid<T> laid(A, order, 2);
        const auto lu = lowrank::lu_in_float<T>(laid, 1 / scale);
        REQUIRE(lu.has_value());
        const Dense B = check::gaussian(n, 3, 5);
        for (const bool transposed : {false, true}) {
          Laid<T> X(B, Order::col_major, 1);
          lowrank::lu_solve<T>(*lu, transposed ? lowrank::Transpose::yes : lowrank::Transpose::no, X);
          const Dense scaled = A / scale, solved = check::dense<T>(X) * scale;
          const Dense image = transposed ? Dense(scaled.transpose() * solved) : Dense(scaled * solved);
          CHECK((image - B).norm() <= 1e-4 * B.norm());
          CHECK(X.gaps_untouched());
        }
      }
}

TEST_CASE("lu_in_float: gives up where the rank ends early, and refuses what is not square") {
  const Dense A = check::gaussian(900, 200, 1) * check::gaussian(200, 900, 2);
  CHECK_FALSE(lowrank::lu_in_float<double>(A, 1).has_value());
  CHECK_FALSE(lowrank::lu_in_float<double>(Dense(Dense::Zero(600, 600)), 1).has_value());
  CHECK_THROWS_AS(lowrank::lu_in_float<double>(Matrix<double>(3, 4), 1), std::invalid_argument);
  const auto lu = lowrank::lu_in_float<double>(Dense(Dense::Identity(5, 5)), 1);
  REQUIRE(lu.has_value());
  Matrix<double> wrong(4, 1);
  CHECK_THROWS_AS(lowrank::lu_solve<double>(*lu, lowrank::Transpose::no, wrong), std::invalid_argument);
}
