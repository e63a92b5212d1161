#pragma once

#include <lowrank/core/progress.hpp>
#include <lowrank/op/dense.hpp>
#include <string>
#include <vector>

namespace lowrank {

enum class RankMethod { automatic, svd, qr, randomized };

struct RankOptions {
  /// Singular values above `tol` count. Negative: not given.
  double tol = -1;
  /// Singular values above rtol·σ₁ count. Negative: not given. With neither, NumPy's rule: max(m, n)·eps·σ₁.
  double rtol = -1;
  RankMethod method = RankMethod::automatic;
  std::uint64_t seed = 0;
  /// Where the work is done (see moved_to); nullptr: where A is.
  Device* device = nullptr;
  ProgressCallback progress{};
};

struct RankResult {
  Index rank = 0;
  double tolerance = 0;    ///< absolute
  std::string convention;  ///< "numpy: max(m, n) * eps * sigma_max", "relative: rtol * sigma_max", "absolute"
  std::string method;      ///< the one that decided: "randomized", "lu", "qr", "svd", "norm"
  std::string reason;      ///< why, and what was tried before
  /// Whether inequalities proved the rank (with probability 1 - 1e-10 where probes were used). An answer by the SVD
  /// alone is as good as NumPy's, and certified too unless a singular value lies within rounding of the tolerance.
  bool certified = false;
  /// From below where a large matrix was decided by "lu" or "qr", as a rule within 2 %.
  double sigma_max = 0;
  /// σ_r, the smallest that counts (0 for rank 0); where "qr" found less than full rank, a lower bound; by "lu" a Ritz
  /// value from above, within 1 % unless σ_r / σ₁ comes near float's rounding.
  double sigma_rank = 0;
  double sigma_next = 0;   ///< σ_{r+1} by "svd", else an upper bound of it; 0 when r = min(m, n)
  double stable_rank = 0;  ///< ‖A‖_F² / σ₁²
  /// All singular values where the method found them (but for rounding: "randomized" finds those that count, and keeps
  /// them where the others are below NumPy's tolerance), else empty; from them, effective_rank() and rank_at_energy().
  std::vector<double> singular_values;
  double frobenius_norm = 0;
  Index rows = 0, cols = 0;
  double seconds = 0;
};

/// The numerical rank: how many singular values lie above the tolerance.
///
/// automatic: a randomized range finder with a certificate from both sides (σ_r(QᵀA) > tol proves rank >= r by
/// interlacing; a probabilistic bound on σ_{r+1} <= tol proves rank <= r), as long as the rank is small; an LU in float
/// that proves full rank; a pivoted QR, whose factors bound σ_r and σ_{r+1}; where none closes, the SVD. The other
/// methods fall back to the SVD likewise, and `method` and `reason` say so.
///
/// Throws std::invalid_argument: both tol and rtol given, one that is 0 or not finite, rtol >= 1, NaN or Inf in A (with
/// its place, or that in a product with an operator), ‖A‖_F beyond the range of double. Throws
/// Error when the SVD is needed and A does not fit in memory.
template <Real T>
RankResult matrix_rank(const LinearOperator<T>& A, const RankOptions& options = {});

template <DenseArgument M>
RankResult matrix_rank(const M& A, const RankOptions& options = {}) {
  return matrix_rank<ScalarOf<M>>(as_operator(A), options);
}

/// exp of the entropy of σᵢ/Σσ (Roy and Vetterli 2007): a rank that counts small singular values for little.
double effective_rank(const std::vector<double>& singular_values);

/// The least r with Σ_{i<=r} σᵢ² >= energy·frobenius_norm².
Index rank_at_energy(const std::vector<double>& singular_values, double frobenius_norm, double energy);

}  // namespace lowrank
