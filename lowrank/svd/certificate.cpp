#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/svd/certificate.hpp>
#include <lowrank/svd/orthonormalize.hpp>
#include <lowrank/svd/probes.hpp>

namespace lowrank {
namespace {

/// U·diag(S)·Vᵀ with what is needed to apply E = A - U·diag(S)·Vᵀ.
template <Real T>
struct Residual {
  const LinearOperator<T>& A;
  Matrix<T> US;
  MatrixView<const T> V;

  /// Y ← Y - U·S·Vᵀ·X for a Y that holds A·X.
  void subtract(MatrixView<const T> X, MatrixView<T> Y) const {
    const Matrix<T> inner = product<T>(V.transposed(), X);
    multiply<T>(T(-1), US, inner, T(1), Y);
  }
  Matrix<T> apply(MatrixView<const T> X) const {
    Matrix<T> Y(A.rows(), X.cols(), A.device());
    A.multiply(X, Y);
    require_finite<T>(Y);
    subtract(X, Y);
    return Y;
  }
  Matrix<T> apply_adjoint(MatrixView<const T> X) const {
    Matrix<T> Y(A.cols(), X.cols(), A.device());
    A.multiply_adjoint(X, Y);
    require_finite<T>(Y);
    const Matrix<T> inner = product<T>(US.view().transposed(), X);
    multiply<T>(T(-1), V, inner, T(1), Y);
    return Y;
  }
};

/// A·V - U·S but for residual.rest, from A·block, or from A·V itself; either is overwritten.
template <Real T>
Matrix<T> triplet_residuals(MatrixView<T> image, MatrixView<const T> US, const ResidualBlock<T>& residual) {
  const bool known = !residual.block.empty();
  add<T>(T(-1), known ? residual.inside.view() : US, image);
  return known ? product<T>(image, residual.coefficients) : Matrix<T>::copy_of(image);
}

/// uᵢᵀ·dᵢ for the columns of both.
template <Real T>
std::vector<double> overlaps(MatrixView<const T> U, MatrixView<const T> D) {
  const Matrix<double> UtD = to_double<T>(product<T>(U.transposed(), D));
  std::vector<double> diagonal;
  for (Index i = 0; i < UtD.cols(); ++i) diagonal.push_back(UtD(i, i));
  return diagonal;
}

/// The largest norm of a column of A·V - U·S with A's entries rounded to float, and what rounding may have taken from
/// it added. Nothing where that is more than a small part of it, or where U and V contradict Aᵀ·U = V·S, by which the
/// columns are orthogonal to those of U.
template <Real T>
std::optional<double> rounded_residual(const LinearOperator<float>& A, MatrixView<const T> U,
                                       const std::vector<double>& sigma, MatrixView<const T> V, double norm) {
  constexpr double eps = std::numeric_limits<float>::epsilon(), small_part = 1.0 / 32;
  const auto to_float = [](MatrixView<const T> X) { return from_double<float>(to_double<T>(X), X.device()); };
  Matrix<float> D(A.rows(), V.cols(), A.device()), US = to_float(U);
  const Matrix<float> left = US.clone();
  A.multiply(to_float(V), D);
  scale_columns<float>(US, sigma);
  add<float>(-1, US, D);
  const std::vector<double> norms = column_norms<float>(D);
  const double largest = *std::max_element(norms.begin(), norms.end()), rounding = 2 * eps * norm;
  if (!(rounding <= small_part * largest)) return std::nullopt;
  for (const double overlap : overlaps<float>(left, D))
    if (!(std::abs(overlap) <= rounding)) return std::nullopt;
  return largest + rounding;
}

/// Columns scaled to norm 1 (zero columns stay); log of each norm is added to `logs`.
template <Real T>
void normalize(MatrixView<T> X, std::vector<double>& logs) {
  std::vector<double> by = column_norms<T>(X);
  for (std::size_t j = 0; j < by.size(); ++j) {
    logs[j] += std::log(by[j]);
    by[j] = by[j] > 0 ? 1 / by[j] : 0;
  }
  scale_columns<T>(X, by);
}

/// Lower bounds of the leading singular values of E, falling: those of E on the span of Z, from Z and E·Z. Directions
/// in which the columns of Z differ little are left out.
template <Real T>
std::vector<double> ritz_values(MatrixView<const T> Z, MatrixView<const T> EZ) {
  const ThinSvd<double> span = thin_svd<double>(gram<T>(Z));  // U·S·Uᵀ
  constexpr double least = 1e-4;
  const Index count = std::count_if(span.S.begin(), span.S.end(), [&](double s) { return s > least * span.S.front(); });
  if (count == 0) return {};
  Eigen::MatrixXd basis = span.U.eigen().leftCols(count);
  for (Index j = 0; j < count; ++j) basis.col(j) /= std::sqrt(span.S[static_cast<std::size_t>(j)]);
  const Eigen::MatrixXd squares = basis.transpose() * gram<T>(EZ).eigen() * basis;
  std::vector<double> values = thin_svd<double>(MatrixView<const double>(squares), Vectors::none).S;
  for (double& value : values) value = std::sqrt(value);
  return values;
}

/// What probes say of E.
struct Probed {
  double bound;                ///< ‖E‖₂ is no larger, but for the probability of failure
  std::vector<double> values;  ///< lower bounds of its leading singular values; none without a power step
  double adjoint_defect = 0;   ///< see Certificate
};

/// Of ωⱼ, yⱼ = E·ωⱼ / norms[j] with norms[j] = ‖E·ωⱼ‖, and zⱼ = Eᵀ·yⱼ: <ωⱼ, zⱼ> is norms[j]. `rounding` is what a
/// product of a vector of norm 1 is good to.
template <Real T>
double adjoint_defect(MatrixView<const T> Omega, const std::vector<double>& norms, MatrixView<const T> Z,
                      double rounding) {
  const std::vector<double> products = overlaps<T>(Omega, Z), lengths = column_norms<T>(Omega);
  double worst = 0;
  for (std::size_t j = 0; j < norms.size(); ++j)
    if (norms[j] > 0) worst = std::max(worst, (std::abs(products[j] - norms[j]) - rounding * lengths[j]) / norms[j]);
  return worst;
}

/// From Ω and E·Ω: the bound for (E·Eᵀ)^power·E, in logarithms.
template <Real T>
Probed probe(const Residual<T>& E, MatrixView<const T> Omega, Matrix<T> EOmega, Index power, double failure,
             double rounding) {
  const std::size_t probes = static_cast<std::size_t>(EOmega.cols());
  Probed result;
  std::vector<double> logs(probes, 0.0);
  const std::vector<double> norms = column_norms<T>(EOmega);
  normalize<T>(EOmega, logs);
  for (Index step = 0; step < power; ++step) {
    Matrix<T> Z = E.apply_adjoint(EOmega);
    if (step == 0) result.adjoint_defect = adjoint_defect<T>(Omega, norms, Z, rounding);
    normalize<T>(Z, logs);
    EOmega = E.apply(Z);
    if (step + 1 == power) result.values = ritz_values<T>(Z, EOmega);
    normalize<T>(EOmega, logs);
  }
  const double largest = *std::max_element(logs.begin(), logs.end());
  result.bound = std::exp((largest - std::log(least_probe(probes, failure))) / static_cast<double>(2 * power + 1));
  return result;
}

/// The share of a squared error that k triplets would gain by exchanging the smallest of their values for larger ones
/// of E. Where each of the probes' values is worth an exchange there are as a rule more than there are probes: all that
/// may be exchanged are taken to gain as much.
double exchange_gain(const std::vector<double>& kept, const std::vector<double>& outside, std::size_t probes,
                     std::size_t smaller, double rounding, double error) {
  const std::size_t most = std::min(kept.size(), smaller - kept.size()), seen = std::min(most, outside.size());
  double gain = 0;
  std::size_t exchanged = 0;
  for (std::size_t j = 0; j < seen; ++j) {
    const double ours = kept[kept.size() - 1 - j], theirs = outside[j] - rounding;
    if (!(theirs > ours)) continue;
    gain += theirs * theirs - ours * ours;
    ++exchanged;
  }
  // No more than the error can be gained: where the probes show more, they show rounding.
  if (exchanged == 0 || !(gain < error * error)) return 0;
  if (exchanged == seen && outside.size() == probes) gain *= static_cast<double>(most) / static_cast<double>(seen);
  return std::min(1.0, gain / (error * error));
}

}  // namespace

template <Real T>
Certificate certify(const LinearOperator<T>& A, MatrixView<const T> U, const std::vector<T>& S, MatrixView<const T> V,
                    std::optional<double> norm, std::optional<ExactTail> tail, const CertificateOptions& options,
                    const ResidualBlock<T>& residual, const LinearOperator<float>* rounded) {
  constexpr double eps = std::numeric_limits<T>::epsilon();
  const Index k = U.cols(), probes = std::max<Index>(1, options.probes);
  const std::vector<double> sigma(S.begin(), S.end());
  Certificate c;
  c.orthogonality_u = orthogonality_defect<T>(U);
  c.orthogonality_v = orthogonality_defect<T>(V);

  // 1. One product: A·[V, Ω], or A·[block, Ω], or A·Ω where float has served for the residuals. With few columns that
  // would spare nothing, and those of a small error are as a rule too small for it.
  double kept = 0;
  for (const double s : sigma) kept += s * s;
  const bool direct = residual.block.empty();
  const bool try_float =
      rounded != nullptr && direct && norm && k > 3 * probes && *norm * *norm - kept > 1e-4 * *norm * *norm;
  const std::optional<double> in_float = try_float ? rounded_residual<T>(*rounded, U, sigma, V, *norm) : std::nullopt;
  const MatrixView<const T> asked = in_float ? V.left_cols(0) : direct ? V : residual.block.view();
  const Index width = asked.cols();
  Matrix<T> panel(A.cols(), width + probes, A.device());
  if (width > 0) copy<T>(asked, panel.left_cols(width));
  fill_normal<T>(panel.view().middle_cols(width, probes), options.seed, 0);
  Matrix<T> image(A.rows(), width + probes, A.device());
  A.multiply(panel, image);
  require_finite<T>(image);
  c.passes = in_float ? 2 : 1;
  Residual<T> E{A, Matrix<T>::copy_of(U), V};
  scale_columns<T>(E.US, sigma);

  // 2. Residuals of the triplets, D = A·V - U·S, and <A, U·S·Vᵀ> = ‖S‖² + Σ σᵢ·uᵢᵀ·dᵢ.
  double overlap = 0, sigma_max = k > 0 ? sigma.front() : 0;
  if (in_float) {
    c.triplet_residual = *in_float;
    overlap = kept;
  } else if (k > 0) {
    const Matrix<T> D = triplet_residuals<T>(image.left_cols(width), E.US, residual);
    const std::vector<double> residuals = column_norms<T>(D);
    c.triplet_residual = *std::max_element(residuals.begin(), residuals.end());
    if (!direct) c.triplet_residual += residual.rest + 8 * eps * sigma_max;
    const std::vector<double> UtD = overlaps<T>(U, D);
    for (std::size_t i = 0; i < sigma.size(); ++i) overlap += sigma[i] * (sigma[i] + UtD[i]);
  }

  // An exact SVD makes neither side's zero.
  if (tail && k > 0) {
    Matrix<T> D(A.cols(), k, A.device()), VS = Matrix<T>::copy_of(V);
    A.multiply_adjoint(U, D);
    c.passes += 1;
    scale_columns<T>(VS, sigma);
    add<T>(T(-1), VS, D);
    const std::vector<double> residuals = column_norms<T>(D);
    c.triplet_residual = std::max(c.triplet_residual, *std::max_element(residuals.begin(), residuals.end()));
  }

  // 3. E·Ω, its size an estimate of ‖E‖_F, and the probed bound.
  Matrix<T> EOmega = Matrix<T>::copy_of(image.view().middle_cols(width, probes));
  const double image_norm = frobenius_norm<T>(EOmega) / std::sqrt(static_cast<double>(probes));
  const MatrixView<const T> Omega = panel.view().middle_cols(width, probes);
  E.subtract(Omega, EOmega);
  const double estimate = frobenius_norm<T>(EOmega) / std::sqrt(static_cast<double>(probes));
  const Index power = options.power >= 0 ? options.power : A.single_sweep_normal() ? 0 : 1;
  c.passes += 2 * power;
  const double rounding = 8 * eps * std::max(sigma_max, tail ? tail->next : 0.0);
  const Probed probed = probe<T>(E, Omega, std::move(EOmega), power, options.failure, 64 * eps * image_norm);
  c.adjoint_defect = probed.adjoint_defect;
  c.error_bound = probed.bound + rounding;
  c.error_bound_probability = 1 - options.failure;
  c.error_bound_method = "probes";

  const auto improvable = [&](double error) {
    const auto smaller = static_cast<std::size_t>(std::min(A.rows(), A.cols()));
    return exchange_gain(sigma, probed.values, static_cast<std::size_t>(probes), smaller, 8 * rounding, error);
  };

  // 4. ‖E‖_F.
  double error = 0;
  if (!norm) {
    error = estimate;
    c.relative_error = image_norm > 0 ? estimate / image_norm : 0;
    c.relative_error_method = "probes";
    c.improvable = improvable(estimate);
    return c;
  }
  // The difference of the norms is good to about 32·eps·‖A‖²: where that is more than a few per cent of it, E is
  // formed.
  const double square = *norm * *norm - 2 * overlap + kept, noise = 32 * eps * *norm * *norm;
  if (square > 32 * noise) {
    error = std::sqrt(square + noise);
    c.relative_error_method = "norms";
  } else if (const auto measured = A.residual_norm(E.US, V.transposed())) {
    error = *measured;
    c.relative_error_method = "residual";
    c.passes += 1;
  } else if (tail) {
    error = tail->norm + static_cast<double>(std::max(A.rows(), A.cols())) * eps * std::max(sigma_max, tail->next);
    c.relative_error_method = "singular values";
  } else {
    error = std::sqrt(std::max(square, 0.0) + 2 * noise);
    c.relative_error_method = "norms, bounded by rounding";
  }
  c.relative_error = *norm > 0 ? error / *norm : 0;
  c.improvable = improvable(error);
  if (error + rounding < c.error_bound) {
    c.error_bound = error + rounding;
    c.error_bound_probability = 1;
    c.error_bound_method = "frobenius";
  }
  // 5. After an exact SVD the error is σ_{k+1}, up to LAPACK's backward error, which in small matrices may be larger
  // than it is supposed to be: then the residuals show it, ‖A·V - U·S‖₂ <= √k·max ‖A·vᵢ - σᵢ·uᵢ‖, here with as much
  // again for their own rounding.
  if (tail) {
    const double next = tail->next;
    const double backward = static_cast<double>(std::max(A.rows(), A.cols())) * eps * std::max(sigma_max, next);
    const double bound = next + std::max(backward, 2 * std::sqrt(static_cast<double>(k)) * c.triplet_residual);
    if (bound < c.error_bound) {
      c.error_bound = bound;
      c.error_bound_probability = 1;
      c.error_bound_method = "next singular value";
    }
  }
  return c;
}

template Certificate certify(const LinearOperator<float>&, MatrixView<const float>, const std::vector<float>&,
                             MatrixView<const float>, std::optional<double>, std::optional<ExactTail>,
                             const CertificateOptions&, const ResidualBlock<float>&, const LinearOperator<float>*);
template Certificate certify(const LinearOperator<double>&, MatrixView<const double>, const std::vector<double>&,
                             MatrixView<const double>, std::optional<double>, std::optional<ExactTail>,
                             const CertificateOptions&, const ResidualBlock<double>&, const LinearOperator<float>*);

}  // namespace lowrank
