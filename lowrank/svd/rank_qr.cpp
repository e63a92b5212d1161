#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/svd/rank_methods.hpp>
#include <lowrank/svd/svd.hpp>

namespace lowrank {
namespace {

struct Interval {
  double low, high;
};

/// σ₁ of a matrix: a Ritz value from below, and from above σ₁² <= σ̂₁² + ‖A - σ̂₁·u·vᵀ‖₂² with the certificate's bound.
template <Real T>
Interval largest_singular_value(const LinearOperator<T>& A, std::uint64_t seed) {
  SvdOptions options{.method = SvdMethod::krylov, .excess = 1e-12, .seed = seed};
  options.max_products = 60;
  const Svd<T> top = truncated_svd<T>(A, {.rank = 1}, options);
  const double sigma = static_cast<double>(top.S.front());
  return {sigma, std::hypot(sigma, top.certificate.error_bound)};
}

/// σ_min of an upper triangular R, in double: 1/‖R⁻¹‖_F from below; from above 1/σ̂₁ for a Ritz value of R⁻¹, which is
/// close.
std::optional<Interval> smallest_singular_value(MatrixView<const double> R, std::uint64_t seed) {
  for (Index i = 0; i < R.rows(); ++i)
    if (R(i, i) == 0) return std::nullopt;
  Matrix<double> inverse(R.rows(), R.cols());
  fill<double>(inverse, 0);
  for (Index i = 0; i < R.rows(); ++i) inverse(i, i) = 1;
  solve_upper_right<double>(inverse, R);
  const double norm = frobenius_norm<double>(inverse);
  if (!std::isfinite(norm)) return std::nullopt;
  return Interval{1 / norm, 1 / largest_singular_value<double>(DenseOperator<double>(inverse), seed).low};
}

template <Real T>
Matrix<T> dense_of(const LinearOperator<T>& A) {
  const auto entries = A.entries();
  return entries ? Matrix<T>::copy_of(*entries) : A.to_dense();
}

template <Real T>
RankResult result_of(Index rank, Interval top, Interval bottom, double next, const RankInput& input) {
  RankResult result;
  result.rank = rank;
  result.tolerance = input.rule.at(top.low);
  result.method = "qr";
  result.certified = true;
  result.sigma_max = top.low;
  result.sigma_rank = bottom.high;
  result.sigma_next = next;
  return result;
}

}  // namespace

template <Real T>
std::optional<RankResult> rank_by_qr(const LinearOperator<T>& A, const RankInput& input, std::string& why) {
  const Index smaller = std::min(A.rows(), A.cols());
  const Interval top = largest_singular_value(A, input.options.seed);
  const double low = input.rule.at(top.low), high = input.rule.at(top.high), rounding = rounding_of(A, top.high);
  const Matrix<T> dense = dense_of(A);
  const PivotedQr<T> qr = pivoted_qr<T>(dense);
  Index r = 0;
  while (r < smaller && std::abs(static_cast<double>(qr.R(r, r))) > low) ++r;

  const double next = frobenius_norm<T>(qr.R.view().block(r, r, smaller - r, A.cols() - r));
  Matrix<double> leading(r, r);
  for (Index j = 0; j < r; ++j)
    for (Index i = 0; i < r; ++i) leading(i, j) = static_cast<double>(qr.R(i, j));
  const auto bottom =
      r > 0 ? smallest_singular_value(leading, input.options.seed) : std::optional(Interval{high + 2 * rounding, 0});
  if (!bottom || bottom->low - rounding <= high || next + rounding > low + (input.rule.absolute < 0 ? rounding : 0)) {
    why = fmt::format(
        "pivoted QR: its bounds {:.3g} <= sigma_{} and sigma_{} <= {:.3g} do not lie on either side of the tolerance "
        "{:.3g}",
        bottom ? bottom->low : 0.0, r, r + 1, next, low);
    return std::nullopt;
  }
  RankResult result = result_of<T>(r, top, *bottom, next, input);
  result.reason = "pivoted QR: 1/||inverse of R11|| and ||R22|| lie on either side of the tolerance";
  return result;
}

template <Real T>
std::optional<RankResult> full_rank_by_qr(const LinearOperator<T>& A, const RankInput& input, std::string& why) {
  const Index smaller = std::min(A.rows(), A.cols());
  const Interval top = largest_singular_value(A, input.options.seed);
  Matrix<T> tall = dense_of(A);
  if (tall.rows() < tall.cols()) tall = Matrix<T>::copy_of(tall.view().transposed());
  const Matrix<double> R = householder_qr<T>(tall.view());
  const auto bottom = smallest_singular_value(R, input.options.seed);
  if (!bottom || bottom->low - rounding_of(A, top.high) <= input.rule.at(top.high)) {
    why = fmt::format("QR: its bound {:.3g} <= sigma_{} does not prove full rank", bottom ? bottom->low : 0.0, smaller);
    return std::nullopt;
  }
  RankResult result = result_of<T>(smaller, top, *bottom, 0, input);
  result.reason = "QR: 1/||inverse of R|| lies above the tolerance, so the rank is full";
  return result;
}

template std::optional<RankResult> rank_by_qr(const LinearOperator<float>&, const RankInput&, std::string&);
template std::optional<RankResult> rank_by_qr(const LinearOperator<double>&, const RankInput&, std::string&);
template std::optional<RankResult> full_rank_by_qr(const LinearOperator<float>&, const RankInput&, std::string&);
template std::optional<RankResult> full_rank_by_qr(const LinearOperator<double>&, const RankInput&, std::string&);

}  // namespace lowrank
