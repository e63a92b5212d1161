#include <lowrank/svd/orthonormalize.hpp>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::Order;

namespace {

/// Q is orthonormal to rounding and Q·R = X, column by column.
template <class T>
void check_qr(const Dense& X, Order order) {
  Laid<T> panel(X, order, order == Order::col_major ? 3 : 0);
  const Dense stored = check::dense<T>(panel);
  const Dense R = check::dense(lowrank::orthonormalize<T>(panel));
  const Dense Q = check::dense<T>(panel);
  REQUIRE(R.rows() == X.cols());
  REQUIRE(R.cols() == X.cols());
  CHECK(R.isUpperTriangular(0));
  CHECK(check::orthogonality_ratio<T>(Q) < 20);
  CHECK(lowrank::orthogonality_defect<T>(panel) <= 40 * check::eps<T> * std::sqrt(static_cast<double>(X.rows())));
  CHECK(check::difference_ratio<T>(Q * R, stored) < 20);
  CHECK(panel.gaps_untouched());
}

Dense conditioned(Index m, Index k, double condition) {
  std::vector<double> sigma;
  for (Index i = 0; i < k; ++i)
    sigma.push_back(std::pow(condition, -static_cast<double>(i) / static_cast<double>(std::max<Index>(1, k - 1))));
  return check::with_spectrum(m, k, sigma, 7);
}

}  // namespace

TEST_CASE_TEMPLATE("orthonormalize: condition numbers from 1 to 1e18", T, float, double) {
  for (int digits = 0; digits <= 18; ++digits)
    for (const auto& [m, k] : {std::pair<Index, Index>{300, 12}, {600, 30}, {64, 64}})
      for (const Order order : {Order::col_major, Order::row_major}) {
        CAPTURE(digits);
        CAPTURE(m);
        check_qr<T>(conditioned(m, k, std::pow(10.0, digits)), order);
      }
}

TEST_CASE_TEMPLATE("orthonormalize: rank-deficient panels, zero and equal columns", T, float, double) {
  for (const auto& [m, k] : {std::pair<Index, Index>{200, 10}, {33, 7}, {10, 10}}) {
    Dense zero_column = check::gaussian(m, k, 1), equal = zero_column, tiny = zero_column;
    zero_column.col(k / 2).setZero();
    equal.col(k - 1) = equal.col(0);
    tiny.col(1) *= 1e-25;
    for (const Dense& X : {zero_column, equal, tiny, Dense(Dense::Zero(m, k)), Dense(Dense::Ones(m, k)),
                           Dense(check::gaussian(m, 3, 2) * check::gaussian(3, k, 3)), Dense(Dense::Identity(m, k))})
      for (const Order order : {Order::col_major, Order::row_major}) check_qr<T>(X, order);
  }
}

TEST_CASE_TEMPLATE("orthonormalize: columns of very different scales", T, float, double) {
  Dense X = check::gaussian(150, 8, 1);
  for (Index j = 0; j < 8; ++j) X.col(j) *= std::pow(10.0, 4 * (j % 2 ? j : -j) / 2.0);
  check_qr<T>(X, Order::col_major);
  const double scale = std::is_same_v<T, float> ? 1e15 : 1e140;
  check_qr<T>(check::gaussian(150, 8, 1) * scale, Order::col_major);
  check_qr<T>(check::gaussian(150, 8, 1) / scale, Order::col_major);
}

TEST_CASE_TEMPLATE("orthonormalize: small and empty panels", T, float, double) {
  for (const auto& [m, k] : {std::pair<Index, Index>{1, 1}, {2, 1}, {2, 2}, {5, 0}, {0, 0}})
    check_qr<T>(check::gaussian(m, k, 1), Order::col_major);
  CHECK_THROWS_AS(lowrank::orthonormalize<T>(Laid<T>(3, 5).view()), std::invalid_argument);
}

TEST_CASE_TEMPLATE("orthonormalize_against: orthogonal to the basis, and the old panel is recovered", T, float,
                   double) {
  const Index m = 120;
  Laid<T> Q(check::haar(m, 15, 1), Order::col_major);
  const Dense q = check::dense<T>(Q);
  const Dense inside = q * check::gaussian(15, 6, 2);
  Dense nearly = inside + 1e-9 * check::gaussian(m, 6, 3), mixed = check::gaussian(m, 6, 4);
  mixed.col(2) = inside.col(0);
  mixed.col(5).setZero();
  // One direction of the basis six times, in exactly representable numbers: what is left is zero, not noise.
  const Dense repeated = Dense::Constant(m, 6, 3);
  for (const Dense& panel : {check::gaussian(m, 6, 5), nearly, inside, mixed, repeated, Dense(Dense::Zero(m, 6))})
    for (const Order order : {Order::col_major, Order::row_major}) {
      Laid<T> Y(panel, order, 2);
      const Dense old = check::dense<T>(Y);
      const auto found = lowrank::orthonormalize_against<T>(Q, Y);
      const Dense y = check::dense<T>(Y);
      CHECK(check::orthogonality_ratio<T>(y) < 20);
      CHECK((q.transpose() * y).cwiseAbs().maxCoeff() < 100 * check::eps<T>);
      CHECK(check::difference_ratio<T>(q * check::dense(found.C) + y * check::dense(found.R), old) < 20);
      CHECK(Y.gaps_untouched());
    }
}

TEST_CASE_TEMPLATE("orthogonality_defect: the largest entry of |XᵀX - I|", T, float, double) {
  Laid<T> X(Dense::Identity(9, 4), Order::row_major);
  CHECK(lowrank::orthogonality_defect<T>(X) == 0);
  X(0, 1) = T(0.25);
  CHECK(lowrank::orthogonality_defect<T>(X) == 0.25);
  X(1, 1) = T(-3);
  CHECK(check::near(lowrank::orthogonality_defect<T>(X), 9 + 0.0625 - 1, 2e-5));
}

TEST_CASE_TEMPLATE("orthonormalize_against: a basis that holds the whole range of the panel", T, float, double) {
  // The second block of a Krylov basis of a constant matrix: Q begins with the only direction there is.
  for (const Index k : {6, 20}) {
    Laid<T> Q(Dense::Constant(80, k, 3), Order::col_major);
    lowrank::orthonormalize<T>(Q.view());
    Laid<T> Y(Dense::Constant(80, k, 3), Order::col_major);
    lowrank::orthonormalize_against<T>(Q, Y);
    const Dense y = check::dense<T>(Y);
    CHECK(check::orthogonality_ratio<T>(y) < 20);
    CHECK((check::dense<T>(Q).transpose() * y).cwiseAbs().maxCoeff() < 100 * check::eps<T>);
  }
}

TEST_CASE_TEMPLATE("orthonormalize_against: a panel with fewer directions than columns, few rows of it not zero", T,
                   float, double) {
  // Of the 39 rows the basis takes 32 dimensions; what the reflections of a deficient panel invent lies in those rows.
  for (const Index rows : {33, 36, 39, 40, 50})
    for (const Index columns : {16, 128}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const Index m = 600;
      Dense A = Dense::Zero(m, 700);
      for (Index i = 0; i < rows; ++i) A.row(i * 11) = check::gaussian(1, 700, 100 + static_cast<int>(i));
      Laid<T> Q(A * check::gaussian(700, 32, 2), Order::col_major);
      lowrank::orthonormalize<T>(Q.view());
      Laid<T> Y(A * check::gaussian(700, columns, 3), Order::col_major);
      const Dense old = check::dense<T>(Y), q = check::dense<T>(Q);
      const auto found = lowrank::orthonormalize_against<T>(Q, Y);
      const Dense y = check::dense<T>(Y);
      CHECK(check::orthogonality_ratio<T>(y) < 20);
      CHECK((q.transpose() * y).cwiseAbs().maxCoeff() < 100 * check::eps<T>);
      CHECK(check::difference_ratio<T>(q * check::dense(found.C) + y * check::dense(found.R), old) < 20);
    }
}
