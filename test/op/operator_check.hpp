#pragma once

#include <lowrank/op/linear_operator.hpp>

#include "../check.hpp"

namespace check {

/// Every product, norm and copy that an operator offers, against its dense form, over panel widths and layouts.
template <class T>
void operator_agrees(const lowrank::LinearOperator<T>& A, const Dense& expected, double limit = 4) {
  const Index m = expected.rows(), n = expected.cols();
  REQUIRE(A.rows() == m);
  REQUIRE(A.cols() == n);
  const double norm = expected.norm();
  const auto agrees = [&](const Dense& found, const Dense& wanted, double size) {
    const double unit = eps<T> * static_cast<double>(std::max<Index>({m, n, 1})) * size;
    return found.rows() == wanted.rows() && found.cols() == wanted.cols() && (found - wanted).norm() <= limit * unit;
  };
  for (const Index k : {0, 1, 3, 10, 33})
    for (const Order in : {Order::col_major, Order::row_major})
      for (const Order out : {Order::col_major, Order::row_major}) {
        CAPTURE(k);
        const Dense x = rounded<T>(gaussian(n, k, 1));
        const Dense z = rounded<T>(gaussian(m, k, 2));
        Laid<T> X(x, in, 2), Z(z, in, 2), Y(m, k, out, 3), W(n, k, out, 3), Y2(m, k, out, 1), W2(n, k, out, 1);
        for (auto* target : {&Y, &W, &Y2, &W2})  // old contents must not matter
          lowrank::fill<T>(*target, std::numeric_limits<T>::quiet_NaN());
        A.multiply(X, Y);
        CHECK(agrees(dense<T>(Y), expected * x, norm * x.norm()));
        A.multiply_adjoint(Z, W);
        CHECK(agrees(dense<T>(W), expected.transpose() * z, norm * z.norm()));
        A.multiply_normal(X, Y2, W2);
        CHECK(agrees(dense<T>(Y2), expected * x, norm * x.norm()));
        CHECK(agrees(dense<T>(W2), expected.transpose() * (expected * x), norm * norm * x.norm()));
        for (const auto* target : {&Y, &W, &Y2, &W2}) CHECK(target->gaps_untouched());
      }
  CHECK(agrees(dense(A.to_dense()), expected, norm));
  if (const auto found = A.frobenius_norm()) CHECK(std::abs(*found - norm) <= limit * eps<T> * norm);
  if (const auto view = A.entries()) CHECK(agrees(dense<T>(*view), expected, norm));
  const Dense l = rounded<T>(gaussian(m, 3, 3)), r = rounded<T>(gaussian(3, n, 4));
  for (const Order order : {Order::col_major, Order::row_major}) {
    Laid<T> L(l, order, 1), R(r, order, 1);
    if (const auto found = A.residual_norm(L, R)) {
      const double wanted = (expected - l * r).norm();
      CHECK(std::abs(*found - wanted) <= 20 * eps<T> * (norm + l.norm() * r.norm()));
    }
  }
  CHECK(A.flops_per_column() >= 0);
  CHECK(!A.kind().empty());
}

/// Panels of wrong shapes are refused.
template <class T>
void operator_refuses_wrong_panels(const lowrank::LinearOperator<T>& A) {
  Laid<T> X(A.cols(), 2), longer(A.cols() + 1, 2), Y(A.rows(), 2), Y_longer(A.rows() + 1, 2), Y_wider(A.rows(), 3);
  CHECK_THROWS_AS(A.multiply(longer, Y), std::invalid_argument);
  CHECK_THROWS_AS(A.multiply(X, Y_longer), std::invalid_argument);
  CHECK_THROWS_AS(A.multiply(X, Y_wider), std::invalid_argument);
  CHECK_THROWS_AS(A.multiply_adjoint(Y_longer, X), std::invalid_argument);
  CHECK_THROWS_AS(A.multiply_adjoint(Y, longer), std::invalid_argument);
  CHECK_THROWS_AS(A.multiply_adjoint(Y_wider, X), std::invalid_argument);
}

}  // namespace check
