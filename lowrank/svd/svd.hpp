#pragma once

#include <lowrank/core/progress.hpp>
#include <lowrank/op/dense.hpp>
#include <lowrank/svd/certificate.hpp>
#include <string>
#include <vector>

namespace lowrank {

/// How much of a matrix to keep. Exactly one field is set:
///   Truncation{.rank = 20}      the 20 leading triplets
///   Truncation{.energy = 0.99}  the least rank that keeps 99 % of ‖A‖_F²
///   Truncation{.rtol = 1e-3}    the least rank with ‖A - U·S·Vᵀ‖_F <= 1e-3·‖A‖_F
struct Truncation {
  Index rank = 0;
  double energy = 0;
  double rtol = 0;
};

enum class SvdMethod { automatic, exact, randomized, krylov };

struct SvdOptions {
  SvdMethod method = SvdMethod::automatic;
  /// Iteration stops when the Frobenius error is expected to be within this of the best possible one, relatively, and
  /// so is the norm of the singular values kept.
  double excess = 0.01;
  /// Columns of the panel beyond the rank; negative: the larger of 10 and a tenth of the rank. Blocks of a Krylov basis
  /// have about half as many columns as the panel.
  Index oversample = -1;
  /// Products with A or Aᵀ that build a basis, at most (the certificate makes two or three more); where that does not
  /// do, the result says converged = false.
  Index max_products = 100;
  /// For a dense matrix in double whose wish lies well within the reach of its entries rounded to float, or to bfloat16
  /// where the processor is quick with those: the basis is found by products with the rounded matrix, the last product
  /// and the certificate are in double. `reason` says how many.
  bool rounded_passes = true;
  /// For a matrix in float that lies in the memory of a GPU: products in TF32 find the basis where they tell enough,
  /// the last product and the certificate are in float. `reason` says how many, or that there are none. Elsewhere an
  /// Error.
  bool tf32 = false;
  std::uint64_t seed = 0;
  /// Where the work is done (see moved_to); nullptr: where A is. U and V are where A is in either case.
  Device* device = nullptr;
  CertificateOptions certificate{};
  ProgressCallback progress{};
};

/// A ≈ U·diag(S)·Vᵀ with U m×r, V n×r orthonormal, S falling, and what is known about it. The sign of each
/// triplet is such that the entry of largest magnitude of its column of U is positive.
template <Real T>
struct Svd {
  Matrix<T> U;
  std::vector<T> S;
  Matrix<T> V;

  Certificate certificate;
  std::string method;      ///< "exact", "randomized", "krylov"
  std::string reason;      ///< why this method, and what was clamped, replaced or missed
  Index passes = 0;        ///< sweeps over A, those of the norm and the certificate included
  Index products = 0;      ///< panel products with A or Aᵀ that built the basis
  bool converged = false;  ///< the wish was met and the stopping rule satisfied
  double seconds = 0;

  Index rank() const { return static_cast<Index>(S.size()); }
};

/// The truncated SVD of A for a rank, an energy or a relative tolerance. The method is chosen by shape, kind of
/// operator and wish unless options.method names one; `reason` says why. A tolerance or an energy of an operator
/// without frobenius_norm() needs the norm of all its entries: they are formed, m·n of them.
///
/// Throws std::invalid_argument: a wish that is empty, double or out of range (rank beyond min(m, n), energy outside
/// (0, 1], rtol outside (0, 1)), options out of range, NaN or Inf in A (with its place, or that in a product with an
/// operator), ‖A‖_F beyond the range of double. Throws Error when memory does not suffice, or
/// a singular value is beyond the range of T. An empty
/// A gives an empty result for energy and rtol.
template <Real T>
Svd<T> truncated_svd(const LinearOperator<T>& A, Truncation wish, const SvdOptions& options = {});

template <DenseArgument M>
Svd<ScalarOf<M>> truncated_svd(const M& A, Truncation wish, const SvdOptions& options = {}) {
  return truncated_svd<ScalarOf<M>>(as_operator(A), wish, options);
}

}  // namespace lowrank
