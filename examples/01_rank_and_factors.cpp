// Lesson 1: a rank-deficient W is two thin matrices. The first half of the article that lowrank began with, number for
// number: the matrix, bias and input are the ones PyTorch draws for seed 0.

#include <fmt/core.h>

#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/torch_generator.hpp>
#include <lowrank/lowrank.hpp>

namespace {

void print(const char* name, lowrank::MatrixView<const float> y) {
  fmt::print("{}:", name);
  for (lowrank::Index i = 0; i < y.rows(); ++i) fmt::print("{} {:.4e}", i % 5 == 0 ? "\n " : "", y(i, 0));
  fmt::print("\n");
}

}  // namespace

int main() {
  constexpr lowrank::Index d = 10, k = 10;

  // 1. W = randn(d, 2) @ randn(2, k), then bias = randn(d) and x = randn(k), all from torch's generator.
  const lowrank::Matrix<float> W =
      lowrank::generate<float>({.rows = d, .cols = k, .rank = 2, .seed = 0, .rng = lowrank::Rng::torch});
  lowrank::TorchGenerator torch(0);
  torch.skip_normal<float>(d * 2);
  torch.skip_normal<float>(2 * k);
  Eigen::VectorXf bias(d), x(k);
  torch.normal({bias.data(), static_cast<std::size_t>(d)});
  torch.normal({x.data(), static_cast<std::size_t>(k)});

  // 2. Its rank, with the tolerance that NumPy uses.
  const lowrank::RankResult rank = lowrank::matrix_rank(W);
  fmt::print("Rank of W: {} (tolerance {:.2e}, sigma_2 = {:.3f}, sigma_3 = {:.1e})\n", rank.rank, rank.tolerance,
             rank.sigma_rank, rank.sigma_next);

  // 3. W = U·S·Vᵀ cut after two triplets; B = U·S, A = Vᵀ.
  const lowrank::Svd<float> svd = lowrank::truncated_svd(W, {.rank = rank.rank});
  const lowrank::Factors<float> factors = lowrank::make_factors(svd);
  fmt::print("Shape of B: {} x {}\nShape of A: {} x {}\n", factors.B.rows(), factors.B.cols(), factors.A.rows(),
             factors.A.cols());
  fmt::print("||W - B*A||_2 <= {:.1e}\n", svd.certificate.error_bound);

  // 4. The same outputs for 40 parameters instead of 100.
  lowrank::VerifyOptions<float> options;
  options.bias = bias;
  options.input = x;
  const auto check = lowrank::verify_factors<float>(lowrank::as_operator(W), factors.B, factors.A, options);
  print("Original y using W", check.y);
  print("y' computed using B*A", check.y_factored);
  fmt::print("{}: largest difference {:.1e}\n", check.equal ? "Equal" : "NOT equal", check.max_abs_error);
  fmt::print("Total parameters of W: {}\nTotal parameters of B and A: {}\n", factors.parameters_before,
             factors.parameters_after);
  return check.equal ? 0 : 1;
}
