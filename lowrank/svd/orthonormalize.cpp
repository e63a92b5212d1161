#include <Eigen/Cholesky>
#include <cmath>
#include <limits>
#include <lowrank/svd/orthonormalize.hpp>

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
Matrix<double> orthonormalize(MatrixView<T> X) {
  const Index k = X.cols();
  const double enough = 32.0 * std::numeric_limits<T>::epsilon();
  Matrix<double> R(k, k), step(k, k);
  R.eigen().setIdentity();
  if (k == 0) return R;
  constexpr int max_steps = 4;
  for (int taken = 0; taken <= max_steps; ++taken) {
    const Matrix<double> G = gram<T>(X);
    if (distance_to_identity(G) <= enough) return R;
    if (taken == max_steps || !cholesky(G, step)) break;
    solve_upper_right<T>(X, step);
    R.eigen() = Eigen::MatrixXd(step.eigen().triangularView<Eigen::Upper>() * R.eigen());
  }
  const Matrix<double> last = householder_qr<T>(X);
  R.eigen() = Eigen::MatrixXd(last.eigen().triangularView<Eigen::Upper>() * R.eigen());
  return R;
}

namespace {

/// C = QᵀY, Y ← Y - Q·C.
template <Real T>
Eigen::MatrixXd project_out(MatrixView<const T> Q, MatrixView<T> Y) {
  const Matrix<T> C = product<T>(Q.transposed(), Y);
  multiply<T>(T(-1), Q, C, T(1), Y);
  return C.eigen().template cast<double>();
}

}  // namespace

template <Real T>
BlockCoefficients orthonormalize_against(MatrixView<const T> Q, MatrixView<T> Y) {
  BlockCoefficients result{Matrix<double>(Q.cols(), Y.cols()), Matrix<double>(Y.cols(), Y.cols())};
  auto C = result.C.eigen();
  auto R = result.R.eigen();
  C.setZero();
  R.setIdentity();
  // "Twice is enough" for full-rank blocks; a rank-deficient one brings in directions of its own, once more for those.
  for (int pass = 0; pass < 3; ++pass) {
    C += project_out<T>(Q, Y) * R;
    const Matrix<double> step = orthonormalize<T>(Y);
    R = Eigen::MatrixXd(step.eigen().triangularView<Eigen::Upper>() * R);
    if (pass > 0 && distance_to_identity(step) < 0.5) break;
  }
  return result;
}

template <Real T>
double orthogonality_defect(MatrixView<const T> X) {
  return X.cols() == 0 ? 0 : distance_to_identity(gram<T>(X));
}

template Matrix<double> orthonormalize<float>(MatrixView<float>);
template Matrix<double> orthonormalize<double>(MatrixView<double>);
template BlockCoefficients orthonormalize_against<float>(MatrixView<const float>, MatrixView<float>);
template BlockCoefficients orthonormalize_against<double>(MatrixView<const double>, MatrixView<double>);
template double orthogonality_defect<float>(MatrixView<const float>);
template double orthogonality_defect<double>(MatrixView<const double>);

}  // namespace lowrank
