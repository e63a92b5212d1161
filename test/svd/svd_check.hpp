#pragma once

#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/named.hpp>
#include <lowrank/gen/spectrum.hpp>
#include <lowrank/svd/svd.hpp>

#include "../check.hpp"

/// The matrix families and what must hold of every truncated SVD.

namespace check {

inline constexpr lowrank::SvdMethod methods[] = {lowrank::SvdMethod::automatic, lowrank::SvdMethod::exact,
                                                 lowrank::SvdMethod::randomized, lowrank::SvdMethod::krylov};

inline lowrank::SvdOptions with(lowrank::SvdMethod method) {
  lowrank::SvdOptions options;
  options.method = method;
  return options;
}

struct Family {
  const char* label;
  const char* spectrum = "";  ///< of gen; empty: a named matrix
  double noise = 0;           ///< γ: ‖noise‖²_F = γ·R beside R = 10 values 1
  const char* name = "";
};

inline const std::vector<Family>& spectrum_families() {
  static const std::vector<Family> all{{"poly .5", "poly:0.5"},
                                       {"poly 1", "poly:1"},
                                       {"poly 2", "poly:2"},
                                       {"exp .01", "exp:0.01"},
                                       {"exp .1", "exp:0.1"},
                                       {"exp .5", "exp:0.5"},
                                       {"rank 10 + 1e-4", "step:10,0", 1e-4},
                                       {"rank 10 + 1e-2", "step:10,0", 1e-2},
                                       {"rank 10 + 1e-1", "step:10,0", 1e-1},
                                       {"stairs", "stairs:20,0.251188643150958"},
                                       {"step", "step:10,1e-10"},
                                       {"flat", "flat"}};
  return all;
}

inline const std::vector<Family>& named_families() {
  static const std::vector<Family> all{
      {"kahan", "", 0, "kahan"},    {"hilbert", "", 0, "hilbert"},         {"lauchli", "", 0, "lauchli"},
      {"gks", "", 0, "gks"},        {"vandermonde", "", 0, "vandermonde"}, {"cauchy", "", 0, "cauchy"},
      {"prolate", "", 0, "prolate"}};
  return all;
}

template <class T>
Matrix<T> family_matrix(const Family& family, Index rows, Index cols, std::uint64_t seed = 5) {
  lowrank::GenerateOptions options{.rows = rows, .cols = cols, .seed = seed};
  const Index smaller = std::min(rows, cols);
  if (*family.name)
    options.name = family.name;
  else
    options.sigma = lowrank::spectrum(family.spectrum, smaller);
  if (family.noise > 0) options.noise = std::sqrt(family.noise * 10 / static_cast<double>(smaller));
  return there(lowrank::generate<T>(options));
}

/// These entries, rounded, on the device under test.
template <class T>
Matrix<T> matrix_of(const Dense& entries) {
  Matrix<T> A(entries.rows(), entries.cols());
  A.eigen() = entries.cast<T>();
  return there(std::move(A));
}

/// A matrix with all that a test compares a truncated SVD of it with.
template <class T>
struct Reference {
  explicit Reference(const Matrix<T>& matrix)
      : A(dense(matrix)), sigma(singular_values(A)), norm(A.norm()), larger(std::max(A.rows(), A.cols())) {}

  /// What rounding in T may add to an error of the whole matrix.
  double rounding() const { return 4 * eps<T> * std::sqrt(static_cast<double>(larger)) * norm; }

  /// The least rank whose error is at most `allowed`, absolute.
  Index least_rank(double allowed) const {
    Index rank = static_cast<Index>(sigma.size());
    while (rank > 0 && best_error(sigma, rank - 1) <= allowed) --rank;
    return rank;
  }

  Dense A;
  std::vector<double> sigma;
  double norm;
  Index larger;
};

inline double allowed_error(const lowrank::Truncation& wish) {
  return wish.rtol > 0 ? wish.rtol : std::sqrt(1 - wish.energy);
}

/// Shapes, orthogonality, order, signs.
template <class T>
void check_form(const Dense& U, const std::vector<T>& S, const Dense& V, Index rows, Index cols) {
  const auto r = static_cast<Index>(S.size());
  REQUIRE(U.rows() == rows);
  REQUIRE(U.cols() == r);
  REQUIRE(V.rows() == cols);
  REQUIRE(V.cols() == r);
  CHECK(falling(S));
  CHECK(orthogonality_ratio<T>(U) < 20);
  CHECK(orthogonality_ratio<T>(V) < 20);
  CHECK(signs_follow_rule<T>(U));
}

/// What the certificate says, against E = A - U·S·Vᵀ measured in double.
template <class T>
void check_certificate(const Reference<T>& ref, const lowrank::Svd<T>& svd, const Dense& E, const Dense& U,
                       const Dense& V) {
  const auto& c = svd.certificate;
  const double error = E.norm(), rounding = ref.rounding();
  // From ‖A‖² - ‖S‖² it may be low by rounding that the square root magnifies: one part in a thousand in float.
  CHECK(c.relative_error * ref.norm >= error * (1 - (std::is_same_v<T, float> ? 1e-3 : 1e-9)) - rounding);
  // It tells something too: no more than the error, rounding, and what cancellation leaves.
  CHECK(c.relative_error * ref.norm <= 1.01 * error + 10 * std::sqrt(eps<T>) * ref.norm);
  if (c.error_bound < error) CHECK(c.error_bound >= spectral_norm(E) - rounding);
  CHECK(c.error_bound_probability > 0.999999);
  CHECK(c.error_bound_probability <= 1);
  CHECK(!c.error_bound_method.empty());
  CHECK(!c.relative_error_method.empty());
  Eigen::VectorXd s(svd.rank());
  for (Index i = 0; i < svd.rank(); ++i) s(i) = static_cast<double>(svd.S[static_cast<std::size_t>(i)]);
  const Dense left = ref.A * V - U * s.asDiagonal(), right = ref.A.transpose() * U - V * s.asDiagonal();
  double worst = 0;
  for (Index i = 0; i < svd.rank(); ++i) worst = std::max({worst, left.col(i).norm(), right.col(i).norm()});
  CHECK(c.triplet_residual >= 0.9 * worst - rounding);
  const auto defect = [](const Dense& Q) {
    return Q.cols() == 0 ? 0.0 : (Q.transpose() * Q - Dense::Identity(Q.cols(), Q.cols())).cwiseAbs().maxCoeff();
  };
  CHECK(std::abs(c.orthogonality_u - defect(U)) <= 0.02 * defect(U) + 64 * eps<T>);
  CHECK(std::abs(c.orthogonality_v - defect(V)) <= 0.02 * defect(V) + 64 * eps<T>);
}

/// Everything that is promised of a truncated SVD.
template <class T>
void check_svd(const Reference<T>& ref, const lowrank::Truncation& wish, const lowrank::Svd<T>& svd) {
  const Dense U = dense(svd.U), V = dense(svd.V);
  check_form<T>(U, svd.S, V, ref.A.rows(), ref.A.cols());
  const Dense E = ref.A - diagonal_product(U, svd.S, V);
  const double error = E.norm(), rounding = ref.rounding(), best = best_error(ref.sigma, svd.rank());
  CAPTURE(svd.method);
  CAPTURE(svd.reason);
  CAPTURE(svd.rank());
  CAPTURE(svd.converged);
  CAPTURE(error / ref.norm);
  CAPTURE(best / ref.norm);
  CHECK(error <= 1.01 * best + rounding);
  CHECK(!svd.reason.empty());
  CHECK(svd.passes > 0);
  check_certificate<T>(ref, svd, E, U, V);
  if (wish.rank > 0) {
    CHECK(svd.rank() == wish.rank);
    CHECK(svd.converged);
    return;
  }
  const double allowed = allowed_error(wish) * ref.norm;
  const Index least = ref.least_rank(allowed);
  CAPTURE(least);
  if (svd.converged) {
    // Rounding in double of this measurement and of the energy form of the wish, not of T.
    CHECK(error <= allowed * (1 + 1e-6) + (wish.energy == 1 ? rounding : 0));
    // How many triplets make up for the rounding of an error that is little else, no theory says.
    if (allowed > 32 * eps<T> * ref.norm)
      CHECK(static_cast<double>(svd.rank()) <= 1.05 * static_cast<double>(least) + 2);
  } else {
    CHECK(allowed < 50 * rounding);  // only a wish near the rounding of T may be missed
  }
}

/// A, and how many columns it was multiplied by.
template <class T>
struct Counting : lowrank::LinearOperator<T> {
  explicit Counting(const Matrix<T>& matrix) : inner(matrix) {}
  Index rows() const override { return inner.rows(); }
  Index cols() const override { return inner.cols(); }
  void multiply(lowrank::MatrixView<const T> X, lowrank::MatrixView<T> Y) const override {
    columns.push_back(X.cols());
    inner.multiply(X, Y);
  }
  void multiply_adjoint(lowrank::MatrixView<const T> X, lowrank::MatrixView<T> Y) const override {
    columns.push_back(X.cols());
    inner.multiply_adjoint(X, Y);
  }
  std::optional<double> frobenius_norm() const override { return inner.frobenius_norm(); }
  lowrank::Device& device() const override { return inner.device(); }

  lowrank::DenseOperator<T> inner;
  mutable std::vector<Index> columns;
};

}  // namespace check
