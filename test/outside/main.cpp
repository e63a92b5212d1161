// A project of its own that finds lowrank through pkg-config: the public headers must be enough.
#include <cstdio>
#include <lowrank/lowrank.hpp>

int main() {
  const Eigen::MatrixXf W = Eigen::MatrixXf::Random(60, 4) * Eigen::MatrixXf::Random(4, 50);
  const lowrank::RankResult rank = lowrank::matrix_rank(W);
  const lowrank::Svd<float> svd = lowrank::truncated_svd(W, {.rank = rank.rank});
  const lowrank::Factors<float> factors = lowrank::make_factors(svd);
  const auto check = lowrank::verify_factors<float>(lowrank::as_operator(W), factors.B, factors.A);
  std::printf("rank %td, relative error %.1e, %s\n", rank.rank, svd.certificate.relative_error,
              check.equal ? "equal" : "NOT equal");
  return rank.rank == 4 && check.equal ? 0 : 1;
}
