#include <lowrank/io/npz.hpp>
#include <lowrank/svd/rank.hpp>
#include <set>

#include "../check.hpp"
#include "svd/svd_test_data.hpp"

using lowrank::Index;
using lowrank::Matrix;
using lowrank::RankMethod;

namespace {

template <class T>
void every_method_agrees(const Matrix<T>& A, Index expected) {
  for (const RankMethod method : {RankMethod::automatic, RankMethod::svd, RankMethod::qr, RankMethod::randomized})
    for (const bool adjoint : {false, true}) {
      const auto view = adjoint ? A.view().transposed() : A.view();
      const auto found = lowrank::matrix_rank(view, {.method = method});
      CAPTURE(static_cast<int>(method));
      CAPTURE(adjoint);
      CAPTURE(found.reason);
      CAPTURE(found.method);
      CHECK(found.rank == expected);
      CHECK(found.convention == "numpy: max(m, n) * eps * sigma_max");
      CHECK(found.rows == view.rows());
      CHECK(found.cols == view.cols());
      const auto sigma = check::singular_values(check::dense<T>(view));
      const double rule = static_cast<double>(std::max(A.rows(), A.cols())) * check::eps<T>;
      CHECK(check::near(found.sigma_max, sigma[0], 4 * rule));
      CHECK(check::near(found.tolerance, rule * sigma[0], 1e-3));
      if (expected > 0) {
        CHECK(found.sigma_rank > found.tolerance);
        const double sigma_rank = sigma[static_cast<std::size_t>(expected - 1)];
        if (found.method == "svd") CHECK(std::abs(found.sigma_rank - sigma_rank) <= 0.5 * rule * sigma[0]);
        CHECK(found.sigma_rank <= 1.2 * sigma_rank + 0.5 * rule * sigma[0]);
      }
      CHECK(found.sigma_next <= found.tolerance);
      if (expected == std::min(A.rows(), A.cols())) CHECK(found.sigma_next == 0);
    }
}

}  // namespace

TEST_CASE("rank: NumPy's on more than a hundred matrices, by every method") {
  const lowrank::NpzFile file(lowrank::FileBytes::open(SVD_TEST_DATA "/ranks.npz"));
  const auto stored = file.load("ranks");
  const auto& expected = std::get<Matrix<double>>(stored.values);
  Index next = 0;
  std::set<std::string> seen;  // both dtypes and both orders
  for (const auto& member : file.members()) {
    if (member.name == "ranks") continue;
    CAPTURE(member.name);
    const auto array = file.load(member.name);
    REQUIRE(next < expected.size());
    const auto rank = static_cast<Index>(expected(next++, 0));
    std::visit(
        [&](const auto& A) {
          seen.insert(array.dtype + (A.order() == lowrank::Order::col_major ? "F" : "C"));
          every_method_agrees(A, rank);
        },
        array.values);
  }
  CHECK(next >= 100);
  CHECK(next == expected.size());
  CHECK(seen.size() == 4);
}
