#include <fmt/core.h>

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/svd/orthonormalize.hpp>
#include <stdexcept>

namespace lowrank {
namespace {

double distance_to_identity(const Matrix<double>& G) {
  double worst = 0;
  for (Index j = 0; j < G.cols(); ++j)
    for (Index i = 0; i < G.rows(); ++i) {
      const double off = std::abs(G(i, j) - (i == j ? 1.0 : 0.0));
      if (!(off <= worst)) worst = off;  // NaN counts as worst.
    }
  return worst;
}

/// The upper Cholesky factor of G, computed on D⁻¹·G·D⁻¹ with D = diag(√Gᵢᵢ) so that badly scaled columns do no harm.
/// False when G is not safely positive definite.
bool cholesky(const Matrix<double>& G, Matrix<double>& R) {
  const Eigen::VectorXd d = G.eigen().diagonal().array().sqrt();
  if (!(d.minCoeff() > 0) || !std::isfinite(d.maxCoeff())) return false;
  const Eigen::MatrixXd scaled = d.cwiseInverse().asDiagonal() * G.eigen() * d.cwiseInverse().asDiagonal();
  const Eigen::LLT<Eigen::MatrixXd, Eigen::Upper> llt(scaled);
  if (llt.info() != Eigen::Success) return false;
  R.eigen() = Eigen::MatrixXd(llt.matrixU()) * d.asDiagonal();
  // A pivot lost to rounding means a column without a direction of its own.
  const double smallest = (R.eigen().diagonal().array() / d.array()).minCoeff();
  return smallest > 16 * std::sqrt(std::numeric_limits<double>::epsilon());
}

}  // namespace

template <Real T>
void require_finite(MatrixView<const T> Y) {
  if (std::isfinite(frobenius_norm<T>(Y))) return;
  if (const auto place = first_nonfinite<T>(Y))
    throw std::invalid_argument(
        fmt::format("a product with the matrix has {} (row {}, column {} of the panel, counted from 0): NaN or Inf in "
                    "the matrix, or a number beyond the range of {}",
                    std::isnan(place->value) ? "NaN" : "Inf", place->row, place->col, dtype_name<T>()));
}

template <Real T>
Matrix<double> orthonormalize(MatrixView<T> X) {
  const Index k = X.cols();
  const double enough = 32.0 * std::numeric_limits<T>::epsilon();
  Matrix<double> R(k, k), step(k, k);
  R.eigen().setIdentity();
  if (k == 0) return R;
  constexpr int max_steps = 4;
  for (int taken = 0; taken <= max_steps; ++taken) {
    const Matrix<double> G = gram<T>(X);
    const double distance = distance_to_identity(G);
    if (distance <= enough) return R;
    if (taken == max_steps || !cholesky(G, step)) break;
    solve_upper_right<T>(X, step);
    R.eigen() = Eigen::MatrixXd(step.eigen().triangularView<Eigen::Upper>() * R.eigen());
    // ‖G - I‖₂ <= k·distance. From a Gram matrix so near the identity the factor has a condition below 1.2, and the
    // step leaves nothing but rounding: another Gram matrix would only say so.
    if (static_cast<double>(k) * distance <= 0.1) return R;
  }
  require_finite<T>(X);
  const Matrix<double> last = householder_qr<T>(X);
  R.eigen() = Eigen::MatrixXd(last.eigen().triangularView<Eigen::Upper>() * R.eigen());
  return R;
}

template <Real T>
Matrix<T> project_out(MatrixView<const T> Q, MatrixView<T> Y) {
  Matrix<T> C = product<T>(Q.transposed(), Y);
  multiply<T>(T(-1), Q, C, T(1), Y);
  return C;
}

namespace {

/// What is left of a column is no more than rounding of what was taken from it.
template <Real T>
bool is_rounding(double left, double of) {
  return left <= 64 * std::numeric_limits<T>::epsilon() * of;
}

/// Y = Y'·F for an orthonormal Y' that takes its place. Where columns of Y depend on those before, orthonormalize()
/// invents directions, and out of rounding they may come from anywhere, from the span of another basis too: random
/// ones, of stream + j, are put in their places. `lost` takes the norm of what is lost of each.
template <Real T>
Matrix<double> orthonormalize_dependent(MatrixView<T> Y, std::uint64_t seed, std::uint64_t stream,
                                        std::vector<double>& lost) {
  Matrix<double> F = orthonormalize<T>(Y);
  std::vector<Index> dependent;
  for (Index j = 0; j < Y.cols(); ++j)
    if (is_rounding<T>(std::abs(F(j, j)), F.eigen().col(j).norm())) dependent.push_back(j);
  if (dependent.empty()) return F;
  Matrix<T> old = product<T>(Y, from_double<T>(F, Y.device()));
  copy<T>(old, Y);
  for (const Index j : dependent) fill_normal<T>(Y.col(j), seed, stream + static_cast<std::uint64_t>(j));
  F = orthonormalize<T>(Y);
  // A dependent column lies in the span of those before it, and so of the new ones.
  const Eigen::MatrixXd image = to_double<T>(product<T>(Y.transposed(), old)).eigen();
  for (const Index j : dependent) {
    F.eigen().col(j).setZero();
    F.eigen().col(j).head(j) = image.col(j).head(j);
  }
  // But for rounding, and for what two of them had in common besides.
  multiply<T>(T(-1), Y, from_double<T>(F, Y.device()), T(1), old);
  const std::vector<double> norms = column_norms<T>(old);
  for (const Index j : dependent) lost[static_cast<std::size_t>(j)] = norms[static_cast<std::size_t>(j)];
  return F;
}

}  // namespace

template <Real T>
BlockCoefficients orthonormalize_against(MatrixView<const T> Q, MatrixView<T> Y) {
  constexpr double eps = std::numeric_limits<T>::epsilon();
  constexpr int max_passes = 8;
  BlockCoefficients result{Matrix<double>(Q.cols(), Y.cols()), Matrix<double>(Y.cols(), Y.cols()), 0};
  auto C = result.C.eigen();
  auto R = result.R.eigen();
  C.setZero();
  R.setIdentity();
  // Invariant: Y_old = Q·C + Y·R + what is lost.
  const auto stream = static_cast<std::uint64_t>(Q.cols());  // No two columns of a growing Q may get the same.
  for (int pass = 0; pass < max_passes; ++pass) {
    const auto seed = static_cast<std::uint64_t>(2 * pass);
    const std::vector<double> before =
        pass == 0 ? column_norms<T>(Y) : std::vector<double>(static_cast<std::size_t>(Y.cols()), 1.0);
    const Eigen::MatrixXd step = to_double<T>(project_out<T>(Q, Y)).eigen();
    C += step * R;
    // Where orthonormal columns lay so near to orthogonal to Q, what is left of QᵀY is rounding: another projection
    // would only say so (twice is enough: Giraud, Langou, Rozložník, van den Eshof 2005). YᵀY is I - stepᵀ·step.
    const double overlap = step.norm();
    const bool last = pass > 0 && overlap <= 0.1;
    if (last && overlap * overlap <= 16 * eps) return result;
    // What is left of a column that lay in the span of Q is rounding: a random direction takes its place, with
    // coefficient 0.
    const std::vector<double> after = last ? before : column_norms<T>(Y);
    for (std::size_t j = 0; j < after.size(); ++j) {
      if (!is_rounding<T>(after[j], before[j])) continue;
      const Index column = static_cast<Index>(j);
      fill_normal<T>(Y.col(column), seed, stream + static_cast<std::uint64_t>(column));
      result.lost = std::hypot(result.lost, after[j] * R.row(column).norm());
      R.row(column).setZero();
    }
    std::vector<double> lost(after.size(), 0.0);
    const Matrix<double> factor = orthonormalize_dependent<T>(Y, seed + 1, stream, lost);
    for (std::size_t j = 0; j < lost.size(); ++j)
      if (lost[j] > 0) result.lost = std::hypot(result.lost, lost[j] * R.row(static_cast<Index>(j)).norm());
    R = Eigen::MatrixXd(factor.eigen().triangularView<Eigen::Upper>() * R);
    if (last && lost == std::vector<double>(lost.size(), 0.0)) return result;
  }
  throw Error(fmt::format("a block of {} columns could not be made orthogonal to {} others of length {}", Y.cols(),
                          Q.cols(), Y.rows()));
}

template <Real T>
double orthogonality_defect(MatrixView<const T> X) {
  return X.cols() == 0 ? 0 : distance_to_identity(gram<T>(X));
}

template void require_finite<float>(MatrixView<const float>);
template void require_finite<double>(MatrixView<const double>);
template Matrix<double> orthonormalize<float>(MatrixView<float>);
template Matrix<double> orthonormalize<double>(MatrixView<double>);
template Matrix<float> project_out<float>(MatrixView<const float>, MatrixView<float>);
template Matrix<double> project_out<double>(MatrixView<const double>, MatrixView<double>);
template BlockCoefficients orthonormalize_against<float>(MatrixView<const float>, MatrixView<float>);
template BlockCoefficients orthonormalize_against<double>(MatrixView<const double>, MatrixView<double>);
template double orthogonality_defect<float>(MatrixView<const float>);
template double orthogonality_defect<double>(MatrixView<const double>);

}  // namespace lowrank
