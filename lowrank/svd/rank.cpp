#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <lowrank/op/compose.hpp>
#include <lowrank/op/entries.hpp>
#include <lowrank/op/moved.hpp>
#include <lowrank/svd/rank.hpp>
#include <lowrank/svd/rank_methods.hpp>
#include <lowrank/svd/scaling.hpp>

namespace lowrank {
namespace {

void check_options(const RankOptions& options) {
  if (options.tol >= 0 && options.rtol >= 0)
    throw std::invalid_argument("matrix_rank: only one of tol and rtol can be given");
  if (options.tol == 0 || std::isnan(options.tol) || std::isinf(options.tol))
    throw std::invalid_argument(
        fmt::format("matrix_rank: a tolerance must be positive and finite; got {}", options.tol));
  if (options.rtol == 0 || std::isnan(options.rtol) || options.rtol >= 1)
    throw std::invalid_argument(
        fmt::format("matrix_rank: a relative tolerance must be positive and below 1; got {}", options.rtol));
}

/// Tries what is cheaper than the SVD, in the order that the method and the shape ask for.
template <Real T>
RankResult decide(const LinearOperator<T>& A, const RankInput& input) {
  const Index smaller = std::min(A.rows(), A.cols());
  constexpr Index small = 500;
  const RankMethod method = input.options.method;
  const bool automatic = method == RankMethod::automatic && smaller > small;
  std::string why, tried;
  const auto with_attempts = [&](RankResult result) {
    result.reason = tried + (tried.empty() ? "" : "; ") + result.reason;
    return result;
  };
  const auto note = [&] { tried += (tried.empty() ? "" : "; ") + why; };
  if (automatic || method == RankMethod::randomized) {
    // Beyond that a QR of dense entries costs little more.
    const Index limit = automatic && A.entries() ? std::max<Index>(smaller / 16, 160) : smaller;
    const Corner corner = automatic ? look_at_corner(A, input, limit + 1) : Corner{};
    if (corner.full)
      why = fmt::format("the range has more than {} columns: a corner of the matrix has so large a rank", limit);
    else if (auto result = rank_by_range(A, input, limit, corner.rank, why))
      return *result;
    note();
  }
  if (automatic || method == RankMethod::qr) {
    const Interval top = largest_singular_value(A, input.norm, input.options.seed);
    if (automatic) {
      if (auto result = full_rank_by_lu(A, input, top, why)) return with_attempts(*result);
      note();
    }
    if (auto result = rank_by_qr(A, input, top, why)) return with_attempts(*result);
    note();
  }
  if (method == RankMethod::automatic && !automatic)
    tried = fmt::format("the smaller side is {}, not above {}", smaller, small);
  if (method == RankMethod::svd) tried = "as asked";
  RankResult by_svd = rank_by_svd(A, input);
  by_svd.reason = tried + "; decided by the SVD" + by_svd.reason;
  return by_svd;
}

}  // namespace

template <Real T>
RankResult rank_by_svd(const LinearOperator<T>& A, const RankInput& input) {
  const auto entries = A.entries();
  require_memory(sizeof(T) * (entries ? 1.0 : 2.0) * static_cast<double>(A.rows()) * static_cast<double>(A.cols()),
                 fmt::format("the SVD of a {}x{} matrix", A.rows(), A.cols()), A.device());
  const std::vector<T> values =
      entries ? thin_svd<T>(*entries, Vectors::none).S : thin_svd<T>(finite_dense(A), Vectors::none).S;
  RankResult result;
  result.singular_values.assign(values.begin(), values.end());
  const std::vector<double>& sigma = result.singular_values;
  result.method = "svd";
  result.sigma_max = sigma.front();
  result.tolerance = input.rule.at(sigma.front());
  result.rank = std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > result.tolerance; });
  const std::size_t r = static_cast<std::size_t>(result.rank);
  result.sigma_rank = r > 0 ? sigma[r - 1] : 0;
  result.sigma_next = r < sigma.size() ? sigma[r] : 0;
  const double rounding = rounding_of(A, result.sigma_max);
  const bool above = r == 0 || result.sigma_rank - rounding > result.tolerance;
  const bool below = r == sigma.size() || result.sigma_next + rounding <= result.tolerance;
  result.certified = above && below;
  if (!result.certified)
    result.reason = fmt::format("; {:.3g} lies within rounding of the tolerance {:.3g}",
                                above ? result.sigma_next : result.sigma_rank, result.tolerance);
  return result;
}

namespace {

template <Real T>
RankResult moved_matrix_rank(const LinearOperator<T>& original, const RankOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Moved<T> moved = moved_to(original, *options.device);
  RankOptions there = options;
  there.device = nullptr;
  RankResult result = matrix_rank<T>(*moved.op, there);
  result.reason += "; " + moved.note;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

template <Real T>
RankResult matrix_rank(const LinearOperator<T>& original, const RankOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  check_options(options);
  if (options.device != nullptr && options.device != &original.device()) return moved_matrix_rank(original, options);
  const Index m = original.rows(), n = original.cols();
  const std::optional<double> norm = known_norm(original);
  ToleranceRule rule{
      options.tol > 0 ? options.tol : -1.0,
      options.rtol > 0 ? options.rtol : static_cast<double>(std::max(m, n)) * std::numeric_limits<T>::epsilon()};

  RankResult result;
  if (m == 0 || n == 0 || (norm && *norm == 0)) {
    result.certified = true;
    result.method = "norm";
    result.reason = m == 0 || n == 0 ? "the matrix is empty" : "the matrix is zero";
    result.tolerance = rule.at(0);
  } else {
    const double by = norm ? safe_scale<T>(*norm) : 1.0;
    if (rule.absolute > 0) rule.absolute *= by;
    const ScaledOperator<T> scaled(by, original);
    const LinearOperator<T>& A = by == 1 ? original : scaled;
    result = decide(A, RankInput{rule, norm ? *norm * by : -1.0, options});
    for (double* value : {&result.tolerance, &result.sigma_max, &result.sigma_rank, &result.sigma_next}) *value /= by;
    for (double& value : result.singular_values) value /= by;
  }
  result.convention = options.tol > 0    ? "absolute"
                      : options.rtol > 0 ? "relative: rtol * sigma_max"
                                         : "numpy: max(m, n) * eps * sigma_max";
  result.rows = m;
  result.cols = n;
  if (norm)
    result.frobenius_norm = *norm;
  else
    result.frobenius_norm = Eigen::Map<const Eigen::VectorXd>(result.singular_values.data(),
                                                              static_cast<Index>(result.singular_values.size()))
                                .stableNorm();
  const double ratio = result.sigma_max > 0 ? result.frobenius_norm / result.sigma_max : 0;
  result.stable_rank = ratio * ratio;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

double effective_rank(const std::vector<double>& singular_values) {
  double sum = 0, entropy = 0;
  for (const double s : singular_values) sum += s;
  if (!(sum > 0)) return 0;
  for (const double s : singular_values)
    if (s > 0) entropy -= s / sum * std::log(s / sum);
  return std::exp(entropy);
}

Index rank_at_energy(const std::vector<double>& singular_values, double frobenius_norm, double energy) {
  if (!(energy > 0 && energy <= 1))
    throw std::invalid_argument(fmt::format("rank_at_energy: the energy must lie in (0, 1], not {}", energy));
  double kept = 0;
  Index r = 0;
  // Ratios, so that squares of values near the ends of the range do no harm.
  for (const double s : singular_values) {
    if (frobenius_norm == 0 || kept >= energy * (1 - 1e-14)) break;
    const double ratio = s / frobenius_norm;
    kept += ratio * ratio;
    ++r;
  }
  return r;
}

#define LOWRANK_INSTANTIATE(T)                                                 \
  template RankResult rank_by_svd(const LinearOperator<T>&, const RankInput&); \
  template RankResult matrix_rank(const LinearOperator<T>&, const RankOptions&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
