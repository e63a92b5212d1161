#pragma once

#include <limits>
#include <lowrank/svd/rank.hpp>
#include <optional>

/// The methods behind matrix_rank. A has been checked and scaled and is neither empty nor zero.

namespace lowrank {

/// The tolerance as a function of σ₁.
struct ToleranceRule {
  double absolute;  ///< negative: relative
  double relative;
  double at(double sigma_max) const { return absolute >= 0 ? absolute : relative * sigma_max; }
};

struct RankInput {
  ToleranceRule rule;
  double norm;  ///< ‖A‖_F, negative when unknown
  const RankOptions& options;
};

/// What computed singular values are taken to be off by: half of NumPy's tolerance, which LAPACK stays well below.
template <Real T>
double rounding_of(const LinearOperator<T>& A, double sigma_max) {
  return 0.5 * static_cast<double>(std::max(A.rows(), A.cols())) * std::numeric_limits<T>::epsilon() * sigma_max;
}

/// All singular values. Always decides; certified where none lies within rounding of the tolerance.
template <Real T>
RankResult rank_by_svd(const LinearOperator<T>& A, const RankInput& input);

/// A randomized range finder that grows in blocks, with a certificate; nothing when it does not close (`why` says how)
/// or more than `limit` columns would be needed. `guess` is what the rank may be, 0 for no idea: the first block has so
/// many columns, and some more.
template <Real T>
std::optional<RankResult> rank_by_range(const LinearOperator<T>& A, const RankInput& input, Index limit, Index guess,
                                        std::string& why);

/// low <= σ₁ <= high by block Krylov: a Ritz value, and what lanczos_shortfall() says of it; where that says nothing,
/// σ₁² <= σ̂₁² + ‖A - σ̂₁·u·vᵀ‖₂² with the certificate's bound. `norm` is ‖A‖_F, negative when unknown.
struct Interval {
  double low, high;
};
template <Real T>
Interval largest_singular_value(const LinearOperator<T>& A, double norm, std::uint64_t seed);

/// What the first `order` rows and columns of a dense A tell of its rank: taking rows or columns away makes no singular
/// value larger (interlacing). At most order³ flops.
struct Corner {
  Index rank = 0;     ///< of the corner, by its pivoted QR, uncertified; 0 where there is no corner to look at
  bool full = false;  ///< proves that A has `order` singular values above the tolerance
};
template <Real T>
Corner look_at_corner(const LinearOperator<T>& A, const RankInput& input, Index order);

/// Full rank of a dense square matrix by an LU factorization in float, which solves A·x = ω for Gaussian probes ω by
/// iterative refinement. With u the left singular vector of σ_min, σ_min·‖x‖ >= |uᵀω| - ‖ω - A·x‖ holds for any x, so
/// only the residuals need be good, and the rounding of the factorization does not enter. 2/3·n³ flops in float;
/// nothing when that does not prove it (`why` says how).
template <Real T>
std::optional<RankResult> full_rank_by_lu(const LinearOperator<T>& A, const RankInput& input, Interval top,
                                          std::string& why);

/// QR with column pivoting that stops where what is left is below the tolerance: σ_r >= 1/‖R₁₁⁻¹‖_F, σ_{r+1} <= ‖R₂₂‖_F
/// (Golub and Van Loan, 5.4.2); nothing when the two do not close.
template <Real T>
std::optional<RankResult> rank_by_qr(const LinearOperator<T>& A, const RankInput& input, Interval top,
                                     std::string& why);

}  // namespace lowrank
