#include <lowrank/svd/cost.hpp>

#include "svd_check.hpp"

/// Which method automatic takes. The orders are those measured (bench/README.md), far from where the methods cost the
/// same.

using lowrank::Cost;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;

namespace {

template <class T>
Cost cost(Index rows, Index cols, Index rank) {
  const lowrank::DenseOperator<T> A(MatrixView<const T>(nullptr, rows, cols, rows, lowrank::Order::col_major));
  const lowrank::SvdOptions options;
  const Index limit = std::max<Index>(std::min(rows, cols) / 2, 1);
  return lowrank::expected_cost<T>(A, {{.rank = rank}, 1, options}, limit);
}

}  // namespace

TEST_CASE_TEMPLATE(
    "svd cost: block Krylov for large matrices, subspace iteration for small ones, the exact SVD for many "
    "triplets of those",
    T, float, double) {
  for (const auto& [rows, cols, rank] :
       {std::tuple<Index, Index, Index>{4096, 4096, 100}, {20000, 1000, 50}, {8000, 8000, 60}}) {
    const Cost c = cost<T>(rows, cols, rank);
    CAPTURE(rows);
    CHECK(c.krylov < c.randomized);
    CHECK(c.randomized < c.exact);
  }
  for (const auto& [rows, cols, rank] :
       {std::tuple<Index, Index, Index>{300, 300, 30}, {500, 500, 100}, {1000, 1000, 142}, {3000, 500, 71}}) {
    const Cost c = cost<T>(rows, cols, rank);
    CAPTURE(rows);
    CHECK(c.randomized < c.krylov);
    CHECK(c.randomized < c.exact);
  }
  for (const auto& [rows, cols, rank] : {std::tuple<Index, Index, Index>{300, 300, 130}, {1000, 1000, 400}}) {
    const Cost c = cost<T>(rows, cols, rank);
    CAPTURE(rows);
    CHECK(c.exact < c.randomized);
    CHECK(c.exact < c.krylov);
  }
}

TEST_CASE("svd cost: the reason says what the methods were expected to cost") {
  const auto A = check::family_matrix<double>({"", "exp:0.02"}, 400, 300);
  const auto few = lowrank::truncated_svd(A, {.rank = 10});
  CHECK(few.method == "randomized");
  CHECK(check::contains(few.reason, "expected to cost"));
  CHECK(check::contains(few.reason, "exact"));
  const auto many = lowrank::truncated_svd(A, {.rank = 130});
  CHECK(many.method == "exact");
}
