#include <lowrank/op/sparse.hpp>
#include <thread>

#include "operator_check.hpp"

using check::Dense;
using lowrank::Index;
using lowrank::SparseMatrix;
using lowrank::SparseOperator;

namespace {

/// About a tenth of the entries, whole rows and columns empty.
template <class T>
std::vector<Eigen::Triplet<T, Index>> entries(Index m, Index n) {
  const Dense G = check::gaussian(m, n, 11);
  std::vector<Eigen::Triplet<T, Index>> list;
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j)
      if (std::abs(G(i, j)) > 1.6 && i % 5 != 2 && j % 7 != 3) list.emplace_back(i, j, static_cast<T>(G(i, j)));
  return list;
}

template <class Sparse>
Sparse sparse(Index m, Index n) {
  const auto list = entries<typename Sparse::Scalar>(m, n);
  Sparse A(m, n);
  A.setFromTriplets(list.begin(), list.end());
  return A;
}

template <class Sparse>
void agrees() {
  using T = typename Sparse::Scalar;
  for (const auto& [m, n] : {std::pair<Index, Index>{70, 40}, {40, 70}, {1, 30}, {30, 1}, {301, 127}, {127, 301}}) {
    Sparse A = sparse<Sparse>(m, n);
    const Dense expected = Dense(A.template cast<double>());
    check::operator_agrees<T>(SparseOperator<T>(A), expected);
    A.uncompress();
    REQUIRE_FALSE(A.isCompressed());
    const SparseOperator<T> uncompressed(A);
    check::operator_agrees<T>(uncompressed, expected);
    CHECK(uncompressed.flops_per_column() == 2.0 * static_cast<double>(A.nonZeros()));
    check::operator_refuses_wrong_panels<T>(uncompressed);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("sparse operator: rows and columns, 32- and 64-bit indices, compressed or not", T, float, double) {
  agrees<Eigen::SparseMatrix<T, Eigen::RowMajor, Index>>();
  agrees<Eigen::SparseMatrix<T, Eigen::ColMajor, Index>>();
  agrees<Eigen::SparseMatrix<T, Eigen::RowMajor, int>>();
  agrees<Eigen::SparseMatrix<T, Eigen::ColMajor, int>>();
}

TEST_CASE_TEMPLATE("sparse operator: takes over a moved matrix; one and two threads", T, float, double) {
  const Dense expected = Dense(sparse<SparseMatrix<T>>(90, 60).template cast<double>());
  const SparseOperator<T> op(sparse<SparseMatrix<T>>(90, 60));
  for (const int count : {1, 2}) {
    const check::Threads threads(count);
    check::operator_agrees<T>(op, expected);
  }
  CHECK(op.frobenius_norm().has_value());
  CHECK(op.kind() == "sparse");
}

TEST_CASE_TEMPLATE("sparse operator: no entries at all, and empty shapes", T, float, double) {
  check::operator_agrees<T>(SparseOperator<T>(SparseMatrix<T>(12, 9)), Dense::Zero(12, 9));
  check::operator_agrees<T>(SparseOperator<T>(SparseMatrix<T>(0, 9)), Dense::Zero(0, 9));
  check::operator_agrees<T>(SparseOperator<T>(SparseMatrix<T>(9, 0)), Dense::Zero(9, 0));
}

TEST_CASE_TEMPLATE("sparse operator: the norm names a NaN or Inf by row and column", T, float, double) {
  auto A = sparse<SparseMatrix<T>>(70, 40);
  A.coeffRef(41, 17) = std::numeric_limits<T>::quiet_NaN();
  A.makeCompressed();
  const SparseOperator<T> op(A);
  const auto message = check::refusal([&] { op.frobenius_norm(); });
  for (const char* part : {"NaN", "41", "17"}) CHECK(check::contains(message, part));
}

TEST_CASE("sparse operator: rounded to float, products with panels in float; outlives the operator") {
  for (const auto& [m, n] : {std::pair<Index, Index>{250, 230}, {500, 200}, {200, 500}}) {
    const auto A = sparse<SparseMatrix<double>>(m, n);
    const auto in_float = SparseOperator<double>(A).rounded(lowrank::Rounding::to_float);
    REQUIRE(in_float != nullptr);
    for (const int count : {1, 2, 40}) {
      const check::Threads threads(count);
      check::operator_agrees<float>(*in_float, Dense(A));
    }
    check::operator_refuses_wrong_panels<float>(*in_float);
    CHECK(SparseOperator<double>(A).rounded(lowrank::Rounding::to_bfloat16) == nullptr);
    CHECK(SparseOperator<float>(A.cast<float>()).rounded(lowrank::Rounding::to_float) == nullptr);
  }
}

TEST_CASE("sparse operator: several threads share one, from its first product on") {
  lowrank::SparseMatrix<double> S(90, 80);
  for (Index i = 0; i < 90; ++i) S.insert(i, (7 * i) % 80) = static_cast<double>(1 + i);
  S.makeCompressed();
  const lowrank::Matrix<double> X =
      lowrank::Matrix<double>::copy_of(check::Laid<double>(check::gaussian(90, 4, 1), lowrank::Order::col_major));
  const Dense exact = Dense(S).transpose() * check::dense(X);
  for (int round = 0; round < 50; ++round) {
    const SparseOperator<double> op(S);
    std::vector<double> errors(4, 1.0);
    std::vector<std::thread> threads;
    for (double& error : errors)
      threads.emplace_back([&] {
        lowrank::Matrix<double> Y(80, 4);
        op.multiply_adjoint(X, Y);
        error = (check::dense(Y) - exact).norm();
      });
    for (std::thread& thread : threads) thread.join();
    for (const double error : errors) CHECK(error <= 1e-12 * exact.norm());
  }
}
