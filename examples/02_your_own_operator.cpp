// Lesson 2: anything that can multiply is a matrix. The largest singular values of a 2-D Laplacian with a million
// unknowns, which is never stored.

#include <fmt/core.h>

#include <lowrank/lowrank.hpp>

namespace {

using lowrank::Index;
using Panel = lowrank::MatrixView<double>;
using ConstPanel = lowrank::MatrixView<const double>;

/// -Δ on a side×side grid with zero boundary values, by its five-point stencil.
struct Laplacian final : lowrank::LinearOperator<double> {
  Index side = 1000;

  Index rows() const override { return side * side; }
  Index cols() const override { return side * side; }
  void multiply_adjoint(ConstPanel X, Panel Y) const override { multiply(X, Y); }
  void multiply(ConstPanel X, Panel Y) const override {
    for (Index c = 0; c < X.cols(); ++c)
      for (Index j = 0; j < side; ++j)
        for (Index i = 0; i < side; ++i) {
          const auto at = [&](Index a, Index b) {
            return a < 0 || b < 0 || a == side || b == side ? 0.0 : X(a + b * side, c);
          };
          Y(i + j * side, c) = 4 * at(i, j) - at(i - 1, j) - at(i + 1, j) - at(i, j - 1) - at(i, j + 1);
        }
  }
};

}  // namespace

int main() {
  const Laplacian A;
  lowrank::SvdOptions options{.oversample = 12, .max_products = 60};
  const lowrank::Svd<double> svd = lowrank::truncated_svd(A, {.rank = 4}, options);
  fmt::print("{} products with a {} x {} operator, {:.1f} s\n", svd.products, A.rows(), A.cols(), svd.seconds);
  // The largest eigenvalue is 8·sin²(π·side/(2·side + 2)), just below 8.
  for (const double sigma : svd.S) fmt::print("  sigma = {:.6f}\n", sigma);
  fmt::print("every sigma lies within {:.1e} of a singular value\n", svd.certificate.triplet_residual);
}
