#include <lowrank/core/error.hpp>
#include <lowrank/op/dense.hpp>
#include <lowrank/op/moved.hpp>
#include <lowrank/op/sparse.hpp>

#include "guarded_device.hpp"
#include "operator_check.hpp"

using check::Dense;
using check::Laid;
using lowrank::DenseBlocks;
using lowrank::DenseOperator;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MovedBlocks;
using lowrank::Order;

TEST_CASE_TEMPLATE("blocks: agree with the matrix, whatever the size of a block", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{40, 25}, {25, 40}, {1, 30}, {30, 1}, {0, 0}, {0, 4}, {4, 0}})
    for (const Order order : {Order::col_major, Order::row_major})
      for (const Index block : {1, 700, 1 << 20}) {
        const Dense A = check::rounded<T>(check::gaussian(m, n, 5));
        const Laid<T> laid(A, order, 2);
        const DenseBlocks<T> op(laid, block);
        check::operator_agrees<T>(op, A);
        CHECK(op.single_sweep_normal() == (order == Order::row_major));
        if (m > 1 && n > 1) check::operator_refuses_wrong_panels<T>(op);
      }
}

TEST_CASE_TEMPLATE("blocks: moved from the host to the device one after another", T, float, double) {
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Dense A = check::rounded<T>(check::gaussian(60, 45, 5));
    Matrix<T> host(60, 45, order);
    for (Index i = 0; i < 60; ++i)
      for (Index j = 0; j < 45; ++j) host(i, j) = static_cast<T>(A(i, j));
    const DenseBlocks<T> blocks(host, 3000);
    const MovedBlocks<T> moved(blocks, check::device());
    check::operator_agrees<T>(moved, A);
    CHECK(&moved.device() == &check::device());
    CHECK(moved.kind() == "dense");
  }
}

TEST_CASE_TEMPLATE("moved_to: copied where it fits, else in blocks, and the note says which", T, float, double) {
  const Dense A = check::rounded<T>(check::gaussian(400, 120, 5));
  Matrix<T> host(400, 120, Order::row_major);
  for (Index i = 0; i < 400; ++i)
    for (Index j = 0; j < 120; ++j) host(i, j) = static_cast<T>(A(i, j));
  const DenseOperator<T> op(host);
  const auto copied = lowrank::moved_to<T>(op, guarded_device());
  CHECK(copied.note == "worked on by guarded");
  CHECK(copied.op->entries().has_value());
  CHECK(check::dense(copied.op->to_dense()) == A);
  {
    const LimitedMemory limit(400 * 120 * static_cast<Index>(sizeof(T)));
    const auto blocks = lowrank::moved_to<T>(op, guarded_device());
    CHECK(check::contains(blocks.note, "in blocks"));
    CHECK_FALSE(blocks.op->entries().has_value());
    Matrix<T> X(120, 3), Y(400, 3, guarded_device());
    lowrank::fill_normal<T>(X, 1, 1);
    blocks.op->multiply(X.to(guarded_device()), Y);
    CHECK(check::difference_ratio<T>(check::dense(Y), A * check::dense(X)) < 4);
  }
}

TEST_CASE("moved_to: what cannot be moved is refused with what can be done instead") {
  lowrank::SparseMatrix<double> S(5, 4);
  S.insert(2, 3) = 1;
  S.makeCompressed();
  const lowrank::SparseOperator<double> sparse(S);
  const auto message = check::message_of<lowrank::Error>([&] { lowrank::moved_to<double>(sparse, guarded_device()); });
  for (const char* part : {"sparse", "cpu", "guarded", "dense"}) CHECK(check::contains(message, part));
}
