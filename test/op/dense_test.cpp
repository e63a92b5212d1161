#include <lowrank/op/dense.hpp>

#include "operator_check.hpp"
#include "skip.hpp"

using check::Dense;
using check::Laid;
using lowrank::as_operator;
using lowrank::DenseOperator;
using lowrank::Index;
using lowrank::Order;

TEST_CASE_TEMPLATE("dense operator: agrees with the matrix, in both orders, tall, wide and thin", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{40, 25}, {25, 40}, {1, 30}, {30, 1}, {130, 64}})
    for (const Order order : {Order::col_major, Order::row_major}) {
      const Dense A = check::rounded<T>(check::gaussian(m, n, 5));
      const Laid<T> laid(A, order, 2);
      const DenseOperator<T> op(laid);
      check::operator_agrees<T>(op, A);
      CHECK(op.entries().has_value());
      CHECK(op.frobenius_norm().has_value());
      CHECK(op.residual_norm(Laid<T>(m, 1), Laid<T>(1, n)).has_value());
      CHECK(op.kind() == "dense");
      check::operator_refuses_wrong_panels<T>(op);
    }
}

TEST_CASE_TEMPLATE("dense operator: a residual far below √eps does not cancel", T, float, double) {
  const Dense U = check::haar(60, 4, 1), V = check::haar(50, 4, 2);
  const Dense L = check::rounded<T>(U), R = check::rounded<T>(V.transpose());
  const Dense A = check::rounded<T>(L * R);
  const Laid<T> a(A, Order::col_major), l(L, Order::col_major), r(R, Order::row_major);
  const auto error = DenseOperator<T>(a).residual_norm(l, r);
  REQUIRE(error.has_value());
  CHECK(*error <= 10 * check::eps<T> * A.norm());
}

TEST_CASE_TEMPLATE("dense operator: Eigen arguments are looked at", T, float, double) {
  if (!check::on_host()) SKIP("Eigen's matrices are on the host");
  Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> C = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>::Random(9, 7);
  CHECK(as_operator(C).entries()->data() == C.data());
  const auto block = C.block(2, 1, 5, 4);
  CHECK(as_operator(block).entries()->data() == block.data());
  check::operator_agrees<T>(as_operator(block), Dense(block.template cast<double>()));
  Eigen::Matrix<T, 4, 3, Eigen::RowMajor> fixed = Eigen::Matrix<T, 4, 3, Eigen::RowMajor>::Random();
  check::operator_agrees<T>(as_operator(fixed), Dense(fixed.template cast<double>()));
}

TEST_CASE_TEMPLATE("dense operator: the norm names the first NaN or Inf", T, float, double) {
  Laid<T> A(check::gaussian(30, 20, 1), Order::col_major, 1);
  A(12, 7) = std::numeric_limits<T>::quiet_NaN();
  auto message = check::refusal([&] { DenseOperator<T>(A).frobenius_norm(); });
  for (const char* part : {"NaN", "12", "7"}) CHECK(check::contains(message, part));
  A(12, 7) = 0, A(3, 15) = -std::numeric_limits<T>::infinity();
  message = check::refusal([&] { DenseOperator<T>(A).frobenius_norm(); });
  for (const char* part : {"Inf", "3", "15"}) CHECK(check::contains(message, part));
}

TEST_CASE_TEMPLATE("dense operator: empty", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{0, 0}, {0, 4}, {4, 0}})
    check::operator_agrees<T>(DenseOperator<T>(Laid<T>(m, n).view()), Dense::Zero(m, n));
}
