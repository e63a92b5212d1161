#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/op/compose.hpp>
#include <lowrank/svd/methods.hpp>
#include <lowrank/svd/probes.hpp>
#include <lowrank/svd/rank_methods.hpp>
#include <lowrank/svd/scaling.hpp>

namespace lowrank {
namespace {

/// σ_min of an upper triangular R: 1/‖R⁻¹‖_F from below; from above, where wanted, 1/σ̂₁ for a Ritz value of R⁻¹, which
/// is close.
enum class Above { wanted, unwanted };

template <Real T>
std::optional<Interval> smallest_singular_value(MatrixView<const T> R, Above above, std::uint64_t seed) {
  const std::optional<Matrix<double>> inverse = upper_inverse<T>(R);
  const double norm = inverse ? frobenius_norm<double>(*inverse) : std::numeric_limits<double>::infinity();
  if (!std::isfinite(norm)) return std::nullopt;
  if (above == Above::unwanted) return Interval{1 / norm, 1 / norm};
  return Interval{1 / norm, 1 / largest_singular_value<double>(DenseOperator<double>(*inverse), norm, seed).low};
}

}  // namespace

template <Real T>
Interval largest_singular_value(const LinearOperator<T>& original, double norm, std::uint64_t seed) {
  const double by = safe_scale<T>(norm);
  const ScaledOperator<T> scaled(by, original);
  const LinearOperator<T>& A = by == 1 ? original : scaled;
  norm = norm < 0 ? norm : norm * by;
  // Ritz values of small matrices are worth iterating on for. Of a large one whose leading values lie close together
  // each product costs a sweep of memory and two digits do; eight columns cost little more than one.
  constexpr Index large = 1000;
  const Index smaller = std::min(A.rows(), A.cols());
  const SvdOptions options{.excess = 1e-12,
                           .oversample = 7,
                           .max_products = smaller > large ? 12 : 60,
                           .rounded_passes = false,
                           .seed = seed};
  const MethodInput input{{.rank = 1}, norm, options};
  const MethodResult<T> top = krylov_method<T>(A, input, smaller);
  if (top.gave_up) {  // The basis came to the end of a small space.
    const double exact = static_cast<double>(exact_method<T>(A, input).S.front());
    const double rounding = static_cast<double>(std::max(A.rows(), A.cols())) * std::numeric_limits<T>::epsilon();
    return {exact * (1 - rounding) / by, exact * (1 + rounding) / by};
  }
  const double sigma = static_cast<double>(top.S.front());
  // The Ritz value of AᵀA that the theorem speaks of is ‖A·x‖²/‖x‖² for the best x of the space; with y = A·x in Q,
  // ‖Aᵀy‖/‖y‖ is no smaller.
  const std::optional<double> shortfall =
      lanczos_shortfall(static_cast<double>(A.cols()), static_cast<std::size_t>(panel_width(input, smaller)),
                        static_cast<std::size_t>(top.products / 2));
  const double high =
      shortfall
          ? sigma / std::sqrt(1 - *shortfall)
          : std::hypot(
                sigma,
                certify<T>(A, top.U, top.S, top.V, norm >= 0 ? std::optional(norm) : std::nullopt, {}).error_bound);
  return {sigma / by, high / by};
}

template <Real T>
Corner look_at_corner(const LinearOperator<T>& A, const RankInput& input, Index order) {
  const auto entries = A.entries();
  if (!entries || input.norm < 0 || order > std::min(A.rows(), A.cols())) return {};
  const double tolerance = input.rule.at(input.norm) + rounding_of(A, input.norm);
  const Matrix<T> corner = Matrix<T>::copy_of(entries->block(0, 0, order, order));
  const PivotedQr<T> qr = pivoted_qr<T>(corner, tolerance);
  if (qr.R.rows() < order) return {.rank = qr.R.rows()};
  const auto least = smallest_singular_value<T>(qr.R, Above::unwanted, input.options.seed);
  return {.rank = order, .full = least && least->low > tolerance};
}

template <Real T>
std::optional<RankResult> rank_by_qr(const LinearOperator<T>& A, const RankInput& input, Interval top,
                                     std::string& why) {
  const Index smaller = std::min(A.rows(), A.cols());
  const double low = input.rule.at(top.low), high = input.rule.at(top.high), rounding = rounding_of(A, top.high);
  // A relative tolerance and what rounding may add both grow with σ₁: taken at the same value of it.
  const double negligible = low - (input.rule.absolute < 0 ? rounding_of(A, top.low) : rounding);
  if (negligible < 0) {
    why = fmt::format("pivoted QR: the tolerance {:.3g} is below rounding", low);
    return std::nullopt;
  }
  const auto entries = A.entries();
  const Matrix<T> formed = entries ? Matrix<T>() : A.to_dense();
  // The rank of Aᵀ is that of A: whichever lies in columns.
  const MatrixView<const T> dense = !entries                               ? formed.view()
                                    : entries->order() == Order::col_major ? *entries
                                                                           : entries->transposed();
  const PivotedQr<T> qr = pivoted_qr<T>(dense, negligible);
  const Index r = qr.R.rows();
  // σ_min(R₁₁) is σ_r itself where the rank is full, else below it, far at times.
  const Above above = r == smaller ? Above::wanted : Above::unwanted;
  const auto bottom = r > 0 ? smallest_singular_value<T>(qr.R.left_cols(r), above, input.options.seed)
                            : std::optional(Interval{high + 2 * rounding, 0});
  if (!bottom || bottom->low - rounding <= high) {
    why = fmt::format(
        "pivoted QR: its bounds {:.3g} <= sigma_{} and sigma_{} <= {:.3g} do not lie on either side of the tolerance "
        "{:.3g}",
        bottom ? bottom->low : 0.0, r, r + 1, qr.remainder, low);
    return std::nullopt;
  }
  RankResult result;
  result.rank = r;
  result.tolerance = low;
  result.method = "qr";
  result.certified = true;
  result.sigma_max = top.low;
  result.sigma_rank = bottom->high;
  result.sigma_next = r < smaller ? qr.remainder : 0;
  result.reason = fmt::format("pivoted QR: 1/||inverse of R11|| = {:.3g} {}", bottom->low,
                              r < smaller ? "and ||R22|| lie on either side of the tolerance"
                                          : "lies above the tolerance, so the rank is full");
  return result;
}

template Interval largest_singular_value(const LinearOperator<float>&, double, std::uint64_t);
template Interval largest_singular_value(const LinearOperator<double>&, double, std::uint64_t);
template Corner look_at_corner(const LinearOperator<float>&, const RankInput&, Index);
template Corner look_at_corner(const LinearOperator<double>&, const RankInput&, Index);
template std::optional<RankResult> rank_by_qr(const LinearOperator<float>&, const RankInput&, Interval, std::string&);
template std::optional<RankResult> rank_by_qr(const LinearOperator<double>&, const RankInput&, Interval, std::string&);

}  // namespace lowrank
