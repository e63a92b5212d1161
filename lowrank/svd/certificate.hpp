#pragma once

#include <lowrank/op/linear_operator.hpp>
#include <string>
#include <vector>

namespace lowrank {

struct CertificateOptions {
  /// Gaussian probes for the spectral bound.
  Index probes = 10;
  /// Probability that the probed bound does not hold.
  double failure = 1e-10;
  /// Steps of power iteration on the probes. Each costs two products with `probes` columns and takes a root of the
  /// bound's slack: with q steps it is about (failure^(-1/probes)·√n)^(1/(2q+1)) times too large at most. Negative: 1,
  /// but 0 for an operator whose sweeps are dear (a file).
  Index power = -1;
  std::uint64_t seed = 0x9e3779b97f4a7c15;
};

/// What is known about E = A - U·diag(S)·Vᵀ, measured on the factors as they were returned.
struct Certificate {
  /// ‖E‖_F / ‖A‖_F (0 for A = 0), never too small by more than rounding.
  double relative_error = 0;
  /// How it was had: "residual" (E was formed block by block), "norms" (‖A‖² - ‖S‖²), "norms, bounded by rounding" (the
  /// same where it cancels and E cannot be formed: an upper bound), "singular values" (those that an exact SVD left
  /// out, where E cannot be formed), "probes" (‖A‖_F is not known: estimated).
  std::string relative_error_method;
  /// ‖E‖₂ <= error_bound with probability error_bound_probability. Absolute.
  double error_bound = 0;
  double error_bound_probability = 1;
  std::string error_bound_method;
  /// max_i of ‖A·vᵢ - σᵢ·uᵢ‖ or ‖Aᵀ·uᵢ - σᵢ·vᵢ‖, whichever of the two the method does not make zero by construction (of
  /// both after an exact SVD): some singular value of A lies within it of each σᵢ.
  double triplet_residual = 0;
  /// Other k triplets would lower ‖E‖_F² by at least this share of it: the probes, after a power step, found singular
  /// values of E above the smallest of those kept. Where all probes did, the share is extrapolated to as many values as
  /// may be exchanged. 0 where they did not (or no power step was made).
  double improvable = 0;
  /// By how much <E·ω, y> and <ω, Eᵀ·y> of the probes differ, relatively and beyond what rounding may do: 1 where A's
  /// multiply_adjoint has nothing to do with its multiply. 0 where no power step was made.
  double adjoint_defect = 0;
  /// max |UᵀU - I| and max |VᵀV - I|.
  double orthogonality_u = 0, orthogonality_v = 0;
  /// Sweeps over A that the certificate took.
  Index passes = 0;
};

/// What an iteration's recurrence says of the residuals of its triplets, so that a product with fewer columns tells
/// them:
///   A·V = U·diag(S) + (A·block - inside)·coefficients + rest.
/// In the Golub-Kahan bidiagonalization the block is the last one of a basis, the only one whose image is not yet part
/// of the other basis (Baglama, Reichel 2006). The images of the other blocks are known by the coefficients
/// that they got when they were made orthogonal, to a few eps·σ₁: that much a product with V would show and this does
/// not, so 8·eps·σ₁ are added to the residual. `rest` must hold what is larger, columns that gave way to random
/// directions.
template <Real T>
struct ResidualBlock {
  Matrix<T> block;   ///< empty: nothing is known, and A·V is asked for
  Matrix<T> inside;  ///< as much of A·block as U·diag(S) accounts for
  Matrix<T> coefficients;
  double rest = 0;  ///< the largest norm of a column of the rest
};

/// The singular values that an exact SVD found and that were left out.
struct ExactTail {
  double next = 0;  ///< the largest
  double norm = 0;  ///< √Σσ²
};

/// Certifies U·diag(S)·Vᵀ as an approximation of A, where Aᵀ·U = V·diag(S) holds up to rounding by construction (U
/// spans the basis that A was projected on). For a basis on the other side pass AdjointOperator(A), V, S, U.
///
/// `norm` is ‖A‖_F where known. `tail` is what an exact SVD left out. `rounded` may be A with entries rounded
/// to float: then A·V is asked of it, which serves unless the residuals come out within what rounding may have done to
/// them. Cost: a product with k + probes columns
/// (or as many as the residual block has, + probes), one with k columns on the other side for an exact SVD, 2·power
/// products with `probes` columns, and a sweep to form E where ‖A‖² - ‖S‖² cancels.
///
/// The spectral bound: for Gaussian ωᵢ, ‖F‖₂ <= α·√(2/π)·max ‖F·ωᵢ‖ fails with probability α^(-probes) at most (Halko,
/// Martinsson, Tropp 2011, lemma 4.1), here for F = (E·Eᵀ)^q·E, whose norm is ‖E‖^(2q+1). ‖E‖_F bounds it too and is
/// taken when smaller.
template <Real T>
Certificate certify(const LinearOperator<T>& A, MatrixView<const T> U, const std::vector<T>& S, MatrixView<const T> V,
                    std::optional<double> norm, std::optional<ExactTail> tail, const CertificateOptions& options = {},
                    const ResidualBlock<T>& residual = {}, const LinearOperator<float>* rounded = nullptr);

}  // namespace lowrank
