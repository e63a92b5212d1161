#include <lowrank/factor/factor.hpp>
#include <lowrank/gen/generate.hpp>
#include <lowrank/op/compose.hpp>
#include <lowrank/op/sparse.hpp>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using lowrank::DenseOperator;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::Order;
using lowrank::VerifyOptions;

namespace {

/// W of rank 5 and its factors, to rounding.
template <class T>
struct Case {
  Case(Index m, Index n)
      : W(check::there(lowrank::generate<T>({.rows = m, .cols = n, .rank = 5, .seed = 8}))),
        op(W),
        factors(lowrank::make_factors(lowrank::truncated_svd(W, {.rank = 5}))) {}
  lowrank::Verification<T> verify(const VerifyOptions<T>& options = {}) const {
    return lowrank::verify_factors<T>(op, factors.B, factors.A, options);
  }
  Matrix<T> W;
  DenseOperator<T> op;
  lowrank::Factors<T> factors;
};

/// Both outputs and both errors are those of the definition.
template <class T>
void outputs_are_right(const Case<T>& c, const lowrank::Verification<T>& v, const Dense& X, const Dense& b) {
  const Dense W = check::dense(c.W);
  const Dense Wx = W * X, y = Wx.colwise() + Eigen::VectorXd(b.col(0));
  const double rounding = 20 * check::eps<T>;
  CHECK(check::difference_ratio<T>(check::dense(v.y), y) < 4);
  const Dense difference = check::dense(v.y) - check::dense(v.y_factored);
  const double largest = difference.size() > 0 ? difference.cwiseAbs().maxCoeff() : 0;
  CHECK(std::abs(v.max_abs_error - largest) <= 1e-3 * largest + rounding * y.cwiseAbs().maxCoeff());
  double relative = 0;
  for (Index j = 0; j < X.cols(); ++j)
    relative = std::max(
        relative, difference.col(j).norm() / std::max(Wx.col(j).norm(), W.norm() * X.col(j).norm() /
                                                                            std::sqrt(static_cast<double>(W.cols()))));
  CHECK(std::abs(v.relative_error - relative) <= 1e-3 * relative + rounding * (1 + y.norm() / Wx.norm()));
}

}  // namespace

TEST_CASE_TEMPLATE("verify: right factors are equal, on random and on given inputs", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{40, 25}, {25, 40}}) {
    const Case<T> c(m, n);
    const auto random = c.verify();
    CHECK(random.equal);
    CHECK(random.tolerance == (std::is_same_v<T, float> ? 1e-5 : 1e-10));
    CHECK(random.y.rows() == m);
    CHECK(random.y.cols() == 10);
    CHECK(random.y_factored.cols() == 10);
    CHECK(random.relative_error <= random.tolerance);
    CHECK(random.seconds >= 0);
    for (const Order order : {Order::col_major, Order::row_major}) {
      const Dense x = check::rounded<T>(check::gaussian(n, 3, 1));
      const Dense b = check::rounded<T>(check::gaussian(m, 1, 2));
      Laid<T> X(x, order, 2), bias(b, order);
      VerifyOptions<T> options;
      options.input = X;
      options.bias = bias;
      const auto given = c.verify(options);
      CHECK(given.equal);
      REQUIRE(given.y.cols() == 3);
      outputs_are_right(c, given, x, b);
    }
  }
}

TEST_CASE_TEMPLATE("verify: one entry of a factor off by a thousandth is not equal", T, float, double) {
  for (const Index entry : {0, 7, 24}) {
    Case<T> c(40, 25);
    lowrank::scale_columns<T>(c.factors.B.view().block(entry, 0, 1, 1), {1.001});
    CHECK_FALSE(c.verify().equal);
  }
  {
    Case<T> c(40, 25);
    lowrank::scale_columns<T>(c.factors.A.view().block(1, 3, 1, 1), {1.001});
    CHECK_FALSE(c.verify().equal);
  }
  {
    Case<T> c(40, 25);  // a wrong sign of the least triplet
    lowrank::scale_columns<T>(c.factors.B.view().col(4), {-1});
    const auto v = c.verify();
    CHECK_FALSE(v.equal);
    CHECK(v.relative_error > v.tolerance);
    CHECK(v.max_abs_error > 0);
  }
  Case<T> loose(40, 25);
  lowrank::scale_columns<T>(loose.factors.B.view().block(3, 0, 1, 1), {1.001});
  VerifyOptions<T> options;
  options.rtol = 0.1;
  const auto v = loose.verify(options);
  CHECK(v.equal);
  CHECK(v.tolerance == 0.1);
}

TEST_CASE_TEMPLATE("verify: a perturbation that grows is found out at the tolerance and not before", T, float, double) {
  const double tolerance = 1e-3;
  for (const double size : {0.2, 5.0}) {
    Case<T> c(60, 60);
    // All of B scaled by 1 + size·tolerance: the relative error of every output.
    for (Index j = 0; j < 5; ++j) lowrank::scale_columns<T>(c.factors.B.view().col(j), {1 + size * tolerance});
    VerifyOptions<T> options;
    options.rtol = tolerance;
    options.bias = Laid<T>(60, 1).view();
    Laid<T> zero(60, 1);
    options.bias = zero;
    CHECK(c.verify(options).equal == (size < 1));
  }
}

TEST_CASE_TEMPLATE("verify: an input that W takes to nearly nothing asks for no more than rounding allows", T, float,
                   double) {
  const Case<T> c(40, 25);
  // x orthogonal to the rows of W.
  const auto svd = lowrank::thin_svd<double>(check::dense(c.W));
  Laid<T> x(check::dense<double>(svd.V.view().middle_cols(20, 1)), Order::col_major), b(40, 1);
  VerifyOptions<T> options;
  options.input = x;
  options.bias = b;
  CHECK(c.verify(options).equal);
}

TEST_CASE_TEMPLATE("verify: the seed and the number of inputs", T, float, double) {
  const Case<T> c(40, 25);
  VerifyOptions<T> options;
  options.inputs = 4;
  options.seed = 1;
  const auto one = c.verify(options), again = c.verify(options);
  CHECK(one.y.cols() == 4);
  CHECK(check::dense(one.y) == check::dense(again.y));
  options.seed = 2;
  CHECK(check::dense(one.y) != check::dense(c.verify(options).y));
}

TEST_CASE_TEMPLATE("verify: shapes that do not fit are refused with the shapes", T, float, double) {
  const Case<T> c(40, 25);
  Laid<T> B_tall(41, 5), B_wide(40, 6), A_wide(5, 26), x_long(26, 2), b_short(39, 1), b_wide(40, 2);
  const auto message = check::refusal([&] { lowrank::verify_factors<T>(c.op, B_tall, c.factors.A); });
  CHECK(check::contains(message, "41"));
  CHECK(check::contains(message, "40"));
  CHECK_THROWS_AS(lowrank::verify_factors<T>(c.op, B_wide, c.factors.A), std::invalid_argument);
  CHECK_THROWS_AS(lowrank::verify_factors<T>(c.op, c.factors.B, A_wide), std::invalid_argument);
  const auto with = [&](std::optional<MatrixView<const T>> x, std::optional<MatrixView<const T>> b) {
    VerifyOptions<T> options;
    options.input = x;
    options.bias = b;
    c.verify(options);
  };
  CHECK_THROWS_AS(with(MatrixView<const T>(x_long), {}), std::invalid_argument);
  CHECK_THROWS_AS(with({}, MatrixView<const T>(b_short)), std::invalid_argument);
  CHECK_THROWS_AS(with({}, MatrixView<const T>(b_wide)), std::invalid_argument);
}

TEST_CASE_TEMPLATE("verify: NaN or Inf in any argument is refused", T, float, double) {
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()})
    for (int which = 0; which < 5; ++which) {
      Case<T> c(40, 25);
      Laid<T> x(check::gaussian(25, 2, 1), Order::col_major), b(check::gaussian(40, 1, 2), Order::col_major);
      if (which == 0) check::set_entry<T>(c.W, 3, 4, bad);
      if (which == 1) check::set_entry<T>(c.factors.B, 3, 4, bad);
      if (which == 2) check::set_entry<T>(c.factors.A, 2, 20, bad);
      if (which == 3) x(7, 1) = bad;
      if (which == 4) b(9, 0) = bad;
      VerifyOptions<T> options;
      options.input = x;
      options.bias = b;
      CAPTURE(which);
      CHECK_THROWS_AS(c.verify(options), std::invalid_argument);
    }
}

TEST_CASE_TEMPLATE("verify: zero and empty matrices", T, float, double) {
  Laid<T> W(8, 6), B(8, 2), A(2, 6);
  const DenseOperator<T> zero(W);
  CHECK(lowrank::verify_factors<T>(zero, B, A).equal);
  Laid<T> ones(Dense::Ones(8, 2), Order::col_major), some(Dense::Ones(2, 6), Order::col_major);
  CHECK_FALSE(lowrank::verify_factors<T>(zero, ones, some).equal);
  for (const auto& [m, n] : {std::pair<Index, Index>{0, 6}, {8, 0}, {0, 0}}) {
    Laid<T> none(m, n), B0(m, 0), A0(0, n);
    const DenseOperator<T> op(none);
    CHECK(lowrank::verify_factors<T>(op, B0, A0).equal);
  }
}

TEST_CASE_TEMPLATE("verify: any operator, a sparse one too", T, float, double) {
  lowrank::SparseMatrix<T> S(50, 40);
  for (Index i = 0; i < 6; ++i) S.insert(7 * i, 5 * i) = static_cast<T>(i + 1);
  S.makeCompressed();
  const lowrank::SparseOperator<T> op(S);
  const auto factors = lowrank::make_factors(lowrank::truncated_svd<T>(op, {.rank = 6}));
  CHECK(lowrank::verify_factors<T>(op, factors.B, factors.A).equal);
  const auto short_of_one = lowrank::make_factors(lowrank::truncated_svd<T>(op, {.rank = 5}));
  CHECK_FALSE(lowrank::verify_factors<T>(op, short_of_one.B, short_of_one.A).equal);
}

TEST_CASE_TEMPLATE("verify: a bias says nothing for factors, however small W is beside it", T, float, double) {
  const Dense W = check::gaussian(40, 30, 9), B = check::gaussian(40, 3, 1), A = check::gaussian(3, 30, 2);
  for (const double scale : {1e-3, 1e-6, 1e-11, 1e-20}) {
    const Laid<T> right(Dense(scale * B * A), Order::col_major), wrong(Dense(scale * W), Order::col_major);
    const Laid<T> b(Dense(scale * B), Order::col_major), a(A, Order::col_major);
    const lowrank::DenseOperator<T> op(right), other(wrong);
    CHECK(lowrank::verify_factors<T>(op, b, a, {}).equal);
    const auto found = lowrank::verify_factors<T>(other, b, a, {});
    CHECK_FALSE(found.equal);
    CHECK(found.relative_error > 0.1);
    lowrank::VerifyOptions<T> none;
    none.inputs = 0;
    CHECK_THROWS_AS(lowrank::verify_factors<T>(op, b, a, none), std::invalid_argument);
  }
}

TEST_CASE("verify: a W whose norm is beyond double's range makes nothing equal") {
  const Laid<double> entries(check::gaussian(40, 30, 9), Order::col_major), b(Dense::Zero(40, 1), Order::col_major),
      a(Dense::Zero(1, 30), Order::col_major);
  const DenseOperator<double> dense(entries);
  const lowrank::ScaledOperator<double> W(1e307, dense);
  CHECK_THROWS_AS(lowrank::verify_factors<double>(W, b, a, {}), std::invalid_argument);
}
