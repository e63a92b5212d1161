// Lesson 2: anything that can multiply is a matrix. The largest singular values of the integral from 0 to t on a
// million points, a matrix of 10¹² entries that is never stored.

#include <fmt/core.h>

#include <cmath>
#include <lowrank/lowrank.hpp>
#include <numbers>

namespace {

using lowrank::Index;
using Panel = lowrank::MatrixView<double>;
using ConstPanel = lowrank::MatrixView<const double>;

/// A(i, j) = 1/n for j <= i: running sums.
struct Integral final : lowrank::LinearOperator<double> {
  Index n = 1'000'000;

  Index rows() const override { return n; }
  Index cols() const override { return n; }
  void multiply(ConstPanel X, Panel Y) const override {
    for (Index c = 0; c < X.cols(); ++c)
      for (Index i = 0; i < n; ++i) Y(i, c) = (i > 0 ? Y(i - 1, c) : 0.0) + X(i, c) / static_cast<double>(n);
  }
  void multiply_adjoint(ConstPanel X, Panel Y) const override {
    for (Index c = 0; c < X.cols(); ++c)
      for (Index i = n - 1; i >= 0; --i) Y(i, c) = (i + 1 < n ? Y(i + 1, c) : 0.0) + X(i, c) / static_cast<double>(n);
  }
};

}  // namespace

int main() {
  const Integral A;
  const lowrank::Svd<double> svd = lowrank::truncated_svd(A, {.rank = 4}, {.excess = 1e-6});
  fmt::print("{} products with a {} x {} operator, {:.1f} s\n", svd.products, A.rows(), A.cols(), svd.seconds);
  for (std::size_t i = 0; i < svd.S.size(); ++i) {
    const double n = static_cast<double>(A.n), angle = (2.0 * i + 1) * std::numbers::pi / (4 * n + 2);
    fmt::print("  sigma = {:.9f}, exactly {:.9f}\n", svd.S[i], 1 / (2 * n * std::sin(angle)));
  }
  fmt::print("every sigma lies within {:.1e} of a singular value\n", svd.certificate.triplet_residual);
}
