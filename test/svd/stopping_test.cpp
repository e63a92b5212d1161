#include <lowrank/svd/stopping.hpp>

#include "../check.hpp"

using lowrank::Index;
using lowrank::StoppingRule;
using lowrank::Truncation;

namespace {

double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum = std::hypot(sum, value);
  return sum;
}

constexpr double double_eps = check::eps<double>;

}  // namespace

TEST_CASE("stopping: the energy that may be left out is a little under (rtol·norm)²") {
  for (const double rtol : {0.5, 1e-1, 1e-3, 1e-6})
    for (const double norm : {1e-5, 1.0, 3e8}) {
      const double allowed = lowrank::allowed_energy(rtol, norm, double_eps);
      CHECK(allowed < rtol * rtol * norm * norm);
      CHECK(allowed > 0.99 * rtol * rtol * norm * norm);
    }
}

TEST_CASE("stopping: least rank") {
  const std::vector<double> values{4, 3, 2, 1};
  CHECK(lowrank::least_rank(values, 0, 0) == 4);
  CHECK(lowrank::least_rank(values, 0, 1) == 3);
  CHECK(lowrank::least_rank(values, 0, 4.99) == 3);
  CHECK(lowrank::least_rank(values, 0, 5) == 2);
  CHECK(lowrank::least_rank(values, 0, 14) == 1);
  CHECK(lowrank::least_rank(values, 0, 30) == 0);
  CHECK(lowrank::least_rank(values, 2, 5) == 3);
  CHECK(lowrank::least_rank(values, 6, 5) == 5);  // cannot be met by these
  CHECK(lowrank::least_rank({}, 0, 1) == 0);
  CHECK(lowrank::least_rank({}, 2, 1) == 1);
}

TEST_CASE("stopping: a basis that holds all the energy is settled at once") {
  const std::vector<double> values{4, 3, 2};
  StoppingRule rule({.rank = 2}, norm_of(values), 0.01, {double_eps}, 50);
  const auto verdict = rule.judge(values);
  CHECK(verdict.rank == 2);
  CHECK(verdict.met);
  CHECK(verdict.settled);
}

TEST_CASE("stopping: growing Ritz values are not settled, still ones are") {
  // ‖A‖² is 100, most of it outside: only the gains can tell.
  StoppingRule rule({.rank = 2}, 10, 0.01, {double_eps}, 500);
  CHECK_FALSE(rule.judge({2.0, 1.5, 1.0}).settled);
  CHECK_FALSE(rule.judge({3.0, 2.5, 1.5}).settled);
  CHECK_FALSE(rule.judge({3.5, 3.0, 1.8}).settled);
  bool settled = false;
  for (int i = 0; i < 4; ++i) settled = rule.judge({3.6, 3.1, 1.9}).settled;
  CHECK(settled);
}

TEST_CASE("stopping: a basis that grew starts the gains anew") {
  StoppingRule rule({.rank = 2}, 10, 0.01, {double_eps}, 500);
  for (int i = 0; i < 4; ++i) rule.judge({3.6, 3.1, 1.9});
  rule.basis_grew();
  CHECK_FALSE(rule.judge({3.6, 3.1, 1.9, 1.2}).settled);
}

TEST_CASE("stopping: an rtol is met by the least rank that the basis shows") {
  const std::vector<double> values{8, 4, 2, 1, 0.5, 0.25};
  const double norm = norm_of(values);
  StoppingRule rule({.rtol = 0.2}, norm, 0.01, {double_eps}, 100);
  const auto verdict = rule.judge(values);
  CHECK(verdict.met);
  CHECK(check::best_error(values, verdict.rank) <= 0.2 * norm);
  CHECK(check::best_error(values, verdict.rank - 1) > 0.2 * norm);
  StoppingRule strict({.rtol = 0.2}, 10 * norm, 0.01, {double_eps}, 100);  // most of the energy is outside the basis
  CHECK_FALSE(strict.judge(values).met);
}

TEST_CASE("stopping: too few Ritz values do not meet a rank") {
  StoppingRule rule({.rank = 5}, -1, 0.01, {double_eps}, 100);
  CHECK_FALSE(rule.judge({3, 2}).met);
}
