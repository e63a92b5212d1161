#include <limits>
#include <lowrank/op/compose.hpp>
#include <lowrank/op/dense.hpp>
#include <lowrank/op/sparse.hpp>

#include "operator_check.hpp"

using check::Dense;
using check::Laid;
using lowrank::AdjointOperator;
using lowrank::DenseOperator;
using lowrank::DifferenceOperator;
using lowrank::Index;
using lowrank::Order;
using lowrank::ProductOperator;
using lowrank::ScaledOperator;

TEST_CASE_TEMPLATE("product operator: L·R without forming it", T, float, double) {
  for (const Index r : {1, 4, 20})
    for (const Order order : {Order::col_major, Order::row_major}) {
      const Dense L = check::rounded<T>(check::gaussian(50, r, 1)), R = check::rounded<T>(check::gaussian(r, 35, 2));
      const Laid<T> l(L, order, 1), rr(R, lowrank::flip(order), 2);
      const ProductOperator<T> op(l, rr);
      check::operator_agrees<T>(op, L * R, 20);
      REQUIRE(op.frobenius_norm().has_value());
      CHECK(op.flops_per_column() == 2.0 * 85 * static_cast<double>(r));
      check::operator_refuses_wrong_panels<T>(op);
    }
  CHECK_THROWS_AS((ProductOperator<T>(Laid<T>(5, 3).view(), Laid<T>(4, 6).view())), std::invalid_argument);
}

TEST_CASE_TEMPLATE("difference operator: dense minus product, dense minus sparse", T, float, double) {
  const Dense A = check::rounded<T>(check::gaussian(40, 30, 1)), L = check::rounded<T>(check::gaussian(40, 3, 2)),
              R = check::rounded<T>(check::gaussian(3, 30, 3));
  const Laid<T> a(A, Order::row_major), l(L, Order::col_major), r(R, Order::col_major);
  const DenseOperator<T> op_a(a);
  const ProductOperator<T> op_lr(l, r);
  check::operator_agrees<T>(DifferenceOperator<T>(op_a, op_lr), A - L * R, 20);
  check::operator_agrees<T>(DifferenceOperator<T>(op_lr, op_a), L * R - A, 20);
  if (check::on_host()) {  // where sparse operators work
    lowrank::SparseMatrix<T> S(40, 30);
    S.insert(7, 8) = T(2.5);
    S.makeCompressed();
    const lowrank::SparseOperator<T> op_s(S);
    check::operator_agrees<T>(DifferenceOperator<T>(op_a, op_s), A - Dense(S.template cast<double>()), 20);
  }
  check::operator_refuses_wrong_panels<T>(DifferenceOperator<T>(op_a, op_lr));
  const Laid<T> other(30, 40);
  const DenseOperator<T> op_other(other);
  CHECK_THROWS_AS((DifferenceOperator<T>(op_a, op_other)), std::invalid_argument);
}

TEST_CASE_TEMPLATE("adjoint operator: of dense, sparse and product", T, float, double) {
  const Dense A = check::rounded<T>(check::gaussian(40, 30, 1)), L = check::rounded<T>(check::gaussian(40, 3, 2)),
              R = check::rounded<T>(check::gaussian(3, 30, 3));
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Laid<T> a(A, order, 1), l(L, order), r(R, order);
    const DenseOperator<T> dense(a);
    const AdjointOperator<T> adjoint(dense);
    check::operator_agrees<T>(adjoint, A.transpose());
    const lowrank::LinearOperator<T>& once = adjoint;  // AdjointOperator(adjoint) would be a copy
    check::operator_agrees<T>(AdjointOperator<T>(once), A);
    REQUIRE(adjoint.entries().has_value());
    CHECK(adjoint.entries()->data() == dense.entries()->data());
    CHECK(adjoint.residual_norm(Laid<T>(30, 1), Laid<T>(1, 40)).has_value());
    const ProductOperator<T> product(l, r);
    check::operator_agrees<T>(AdjointOperator<T>(product), (L * R).transpose(), 20);
  }
}

TEST_CASE_TEMPLATE("scaled operator: powers of two and others", T, float, double) {
  const Dense A = check::rounded<T>(check::gaussian(40, 30, 1));
  const Laid<T> a(A, Order::col_major, 1);
  const DenseOperator<T> dense(a);
  for (const double factor : {1.0, 0.25, -8.0, 3.0, 0x1p-40}) {
    const ScaledOperator<T> scaled(factor, dense);
    check::operator_agrees<T>(scaled, factor * A);
    check::operator_agrees<T>(AdjointOperator<T>(scaled), factor * A.transpose());
    REQUIRE(scaled.frobenius_norm().has_value());
    CHECK(*scaled.frobenius_norm() >= 0);
    if (scaled.entries()) CHECK(check::difference_ratio<T>(check::dense<T>(*scaled.entries()), factor * A) < 1);
    check::operator_refuses_wrong_panels<T>(scaled);
  }
}

TEST_CASE_TEMPLATE("scaled operator: keeps the products of a huge or tiny matrix finite", T, float, double) {
  const int power = std::is_same_v<T, float> ? 124 : 1016;  // the norm is a double yet
  for (const int sign : {1, -1}) {
    const double scale = std::ldexp(1.0, sign * power);
    const Dense A = check::rounded<T>(check::gaussian(40, 30, 1).unaryExpr([](double x) { return std::tanh(x); }));
    const Laid<T> a(A * scale, Order::row_major);
    const DenseOperator<T> dense(a);
    const ScaledOperator<T> scaled(1 / scale, dense);
    const Dense stored = check::dense<T>(a) / scale;
    check::operator_agrees<T>(scaled, stored, 20);
  }
}

TEST_CASE_TEMPLATE("product operator: the norm where Gram matrices cancel or leave the range, and of wide factors", T,
                   float, double) {
  const double far = std::is_same_v<T, float> ? 1e25 : 1e165, eps = check::eps<T>;
  const Dense L = check::gaussian(60, 5, 1), R = check::gaussian(5, 40, 2), G = check::gaussian(60, 5, 3);
  const auto norm = [](const Dense& l, const Dense& r) {
    const Laid<T> left(l, Order::col_major), right(r, Order::row_major);
    return ProductOperator<T>(left, right).frobenius_norm().value();
  };
  for (const auto& [a, b] : {std::pair{far, 1.0}, {1 / far, 1.0}, {far, 1 / far}, {1 / far, far}}) {
    const Dense l = check::rounded<T>(a * L), r = check::rounded<T>(b * R);
    const double exact = (l / a * (r / b)).norm() * a * b;
    CHECK(norm(l, r) == doctest::Approx(exact).epsilon(1e-13));
  }
  // [L, -(L + e·G)]·[R; R] is -e·G·R.
  for (const double e : {1e-3, 1e-5, 1e-7}) {
    Dense l(60, 10), r(10, 40);
    l << check::rounded<T>(L), -check::rounded<T>(L + e * G);
    r << check::rounded<T>(R), check::rounded<T>(R);
    const double exact =
        (l.leftCols(5) + l.rightCols(5)).norm() > 0 ? ((l.leftCols(5) + l.rightCols(5)) * r.topRows(5)).norm() : 0;
    CHECK(std::abs(norm(l, r) - exact) <= 1e-12 + 1e-13 * exact);
    const Laid<T> left(l, Order::col_major), right(r, Order::row_major);
    const Laid<T> b(l.leftCols(3), Order::col_major), a(r.topRows(3), Order::row_major);
    const double residual = (l * r - l.leftCols(3) * r.topRows(3)).norm();
    CHECK(ProductOperator<T>(left, right).residual_norm(b, a).value() == doctest::Approx(residual).epsilon(100 * eps));
  }
  const Dense wide = check::gaussian(6, 50, 4), tall = check::gaussian(50, 3, 5);
  CHECK(norm(check::rounded<T>(wide), check::rounded<T>(tall)) ==
        doctest::Approx((check::rounded<T>(wide) * check::rounded<T>(tall)).norm()).epsilon(1e-13));
  CHECK(norm(Dense::Zero(4, 2), Dense::Ones(2, 3)) == 0);
}

TEST_CASE_TEMPLATE("product operator: NaN and Inf are named, not taken for zero", T, float, double) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), inf, -inf}) {
    Dense L = check::gaussian(30, 4, 1), R = check::gaussian(4, 20, 2);
    L(7, 2) = bad;
    const Laid<T> l(L, Order::col_major), r(R, Order::row_major);
    CHECK_THROWS_WITH_AS(ProductOperator<T>(l, r).frobenius_norm(), doctest::Contains("row 7, column 2"),
                         std::invalid_argument);
    const Laid<T> lt(L.transpose(), Order::row_major), rt(R.transpose(), Order::col_major);
    CHECK_THROWS_WITH_AS(ProductOperator<T>(rt, lt).frobenius_norm(), doctest::Contains("factor R"),
                         std::invalid_argument);
  }
}

TEST_CASE_TEMPLATE("scaled operator: by 0, twice, the residual is the factors' norm", T, float, double) {
  const Dense A = check::rounded<T>(check::gaussian(20, 15, 1)), L = check::rounded<T>(check::gaussian(20, 2, 2)),
              R = check::rounded<T>(check::gaussian(2, 15, 3));
  const Laid<T> a(A, Order::col_major), l(L, Order::col_major), r(R, Order::col_major);
  const DenseOperator<T> dense(a);
  const ScaledOperator<T> zero(0, dense), twice(2, zero);
  CHECK(twice.residual_norm(l, r).value() == doctest::Approx((L * R).norm()).epsilon(100 * check::eps<T>));
}
