#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/gen/haar.hpp>
#include <lowrank/gen/tiles.hpp>
#include <stdexcept>
#include <vector>

namespace lowrank {
namespace {

constexpr Index reflections = 64;  // in a block
constexpr Index tile = 128;        // columns that a thread reflects at a time

/// Column c of V becomes the vector of a reflection I − tau·v·vᵀ (zero above place c, 1 there) that takes x = V(c:, c)
/// to −sign(x₀)‖x‖·e₁. Returns tau; `sign` becomes that multiple's sign.
double make_reflection(MatrixView<double> V, Index c, double& sign) {
  double* v = &V(0, c);
  std::fill_n(v, c, 0.0);
  double squares = 0;
  for (Index i = c; i < V.rows(); ++i) squares += v[i] * v[i];
  const double norm = std::sqrt(squares), first = v[c];
  sign = first < 0 ? 1.0 : -1.0;
  const double pivot = first - sign * norm;
  v[c] = 1;
  if (norm == 0) return 0;
  for (Index i = c + 1; i < V.rows(); ++i) v[i] /= pivot;
  return (norm + std::abs(first)) / norm;
}

/// The triangular T with H₁···H_b = I − V·T·Vᵀ.
Matrix<double> compact_factor(MatrixView<const double> V, const std::vector<double>& tau) {
  const Index b = V.cols();
  Matrix<double> G(b, b), T(b, b);
  fill<double>(T, 0.0);
  multiply<double>(1, V.transposed(), V, 0, G);
  for (Index i = 0; i < b; ++i) {
    const double t = tau[static_cast<std::size_t>(i)];
    T(i, i) = t;
    for (Index row = 0; row < i; ++row) {
      double sum = 0;
      for (Index l = row; l < i; ++l) sum += T(row, l) * G(l, i);
      T(row, i) = -t * sum;
    }
  }
  return T;
}

/// X ← (I − V·T·Vᵀ)·X.
void reflect(MatrixView<const double> V, MatrixView<const double> T, MatrixView<double> X) {
  const Matrix<double> projected = product<double>(V.transposed(), X);
  const Matrix<double> mixed = product<double>(T, projected);
  multiply<double>(-1, V, mixed, 1, X);
}

/// One block: the reflections of columns start .. start + b applied to the columns of Q from `start` on. The panel's
/// columns of the block hold Gaussians before and columns of Q after.
void apply_block(MatrixView<double> panel, Index start, Index b, std::vector<double>& signs) {
  const Index m = panel.rows(), k = panel.cols();
  Matrix<double> V(m - start, b);
  copy<double>(panel.block(start, start, m - start, b), V);
  std::vector<double> tau(static_cast<std::size_t>(b));
  tiles::for_each(b, [&](Index c) {
    tau[static_cast<std::size_t>(c)] = make_reflection(V, c, signs[static_cast<std::size_t>(start + c)]);
    std::fill_n(&panel(0, start + c), m, 0.0);
    panel(start + c, start + c) = 1;
  });
  Matrix<double> T;
  tiles::for_each(1, [&](Index) { T = compact_factor(V, tau); });
  const MatrixView<double> rest = panel.block(start, start, m - start, k - start);
  tiles::for_each(tiles::ceil_divide(rest.cols(), tile),
                  [&](Index t) { reflect(V, T, rest.middle_cols(t * tile, std::min(tile, rest.cols() - t * tile))); });
}

}  // namespace

void haar_from_gaussian(MatrixView<double> panel, const ProgressCallback& progress) {
  const Index m = panel.rows(), k = panel.cols();
  if (m < k || panel.order() != Order::col_major)
    throw std::invalid_argument(
        fmt::format("haar_from_gaussian: wants a column-major panel with rows >= cols, not {}x{}", m, k));
  std::vector<double> signs(static_cast<std::size_t>(k));
  const Index blocks = tiles::ceil_divide(k, reflections);
  for (Index block = blocks - 1; block >= 0; --block) {
    const Index start = block * reflections;
    apply_block(panel, start, std::min(reflections, k - start), signs);
    if (progress) progress({"orthonormal vectors", static_cast<double>(blocks - block) / static_cast<double>(blocks)});
  }
  scale_columns<double>(panel, signs);
}

}  // namespace lowrank
