#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/svd/orthonormalize.hpp>
#include <lowrank/svd/probes.hpp>
#include <lowrank/svd/rank_methods.hpp>

namespace lowrank {
namespace {

/// An orthonormal basis Q of part of A's range. QᵀA, kept as AᵀQ, and its singular values may lag behind.
template <Real T>
struct Range {
  Matrix<T> Q, image;
  std::vector<double> sigma;
};

template <Real T>
Matrix<T> joined(MatrixView<const T> X, MatrixView<const T> Y) {
  Matrix<T> both(X.rows(), X.cols() + Y.cols(), X.device());
  if (!X.empty()) copy<T>(X, both.left_cols(X.cols()));
  copy<T>(Y, both.view().middle_cols(X.cols(), Y.cols()));
  return both;
}

/// Y ← (I - QQᵀ)·Y, twice, so that what is left is not rounding of what was taken.
template <Real T>
void remove(MatrixView<const T> Q, MatrixView<T> Y) {
  for (int pass = 0; pass < 2 && Q.cols() > 0; ++pass) project_out<T>(Q, Y);
}

/// An orthonormal basis of the directions of Y that are longer than `least`.
template <Real T>
Matrix<T> significant_directions(Matrix<T> Y, MatrixView<const T> Q, double least) {
  const BlockCoefficients parts = orthonormalize_against<T>(Q, Y);
  const ThinSvd<double> core = thin_svd<double>(parts.R);
  const Index kept = std::count_if(core.S.begin(), core.S.end(), [&](double s) { return s > least; });
  return product<T>(Y, from_double<T>(core.U.left_cols(kept), Y.device()));
}

template <Real T>
std::vector<double> singular_values(const Matrix<T>& X) {
  if (X.rows() < X.cols()) {
    const std::vector<T> values = thin_svd<T>(X, Vectors::none).S;
    return {values.begin(), values.end()};
  }
  Matrix<T> work = X.clone();
  return thin_svd<double>(orthonormalize<T>(work), Vectors::none).S;
}

/// Brings QᵀA and its singular values up to Q.
template <Real T>
void complete(const LinearOperator<T>& A, Range<T>& range) {
  const Index have = range.image.cols(), more = range.Q.cols() - have;
  if (more == 0) return;
  Matrix<T> image(A.cols(), more, A.device());
  A.multiply_adjoint(range.Q.view().middle_cols(have, more), image);
  range.image = joined<T>(range.image, image);
  range.sigma = singular_values(range.image);
}

/// What σ(QᵀA) and ‖(I - QQᵀ)·A‖ <= missed say: σ_r(QᵀA) > tol, and σ_{r+1}(A)² <= σ_{r+1}(QᵀA)² + missed² <= tol².
struct Bounds {
  Bounds(const std::vector<double>& sigma, double missed, const ToleranceRule& rule)
      : top(std::hypot(sigma.front(), missed)), low(rule.at(sigma.front())), high(rule.at(top)) {
    r = std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > low; });
    here = r > 0 ? sigma[static_cast<std::size_t>(r - 1)] : 0;
    beyond = std::hypot(r < static_cast<Index>(sigma.size()) ? sigma[static_cast<std::size_t>(r)] : 0.0, missed);
  }
  double top, low, high;  ///< σ₁ from above, the tolerance from below and above
  Index r;
  double here, beyond;
};

template <Real T>
RankResult result_of(const LinearOperator<T>& A, Range<T>& range, const Bounds& bounds, Index probes, double norm,
                     std::uint64_t seed) {
  RankResult result;
  result.rank = bounds.r;
  result.tolerance = bounds.low;
  result.method = "randomized";
  result.certified = true;
  // Of a range that misses much, σ₁(QᵀA) says little.
  constexpr double near = 1.001;
  result.sigma_max = bounds.top <= near * range.sigma.front()
                         ? range.sigma.front()
                         : std::max(range.sigma.front(), largest_singular_value(A, norm, seed).low);
  result.sigma_rank = bounds.here;
  result.sigma_next = bounds.r < std::min(A.rows(), A.cols()) ? bounds.beyond : 0;
  // All of them, where the others are rounding by NumPy's rule.
  const double eps = std::numeric_limits<T>::epsilon();
  if (bounds.beyond <= static_cast<double>(std::max(A.rows(), A.cols())) * eps * result.sigma_max) {
    range.sigma.resize(static_cast<std::size_t>(bounds.r));
    result.singular_values = std::move(range.sigma);
  }
  result.reason = fmt::format(
      "{} columns of range with {} probes: sigma_r of QᵀA and the bound on the rest lie on either side of the "
      "tolerance",
      range.Q.cols(), probes);
  return result;
}

}  // namespace

template <Real T>
std::optional<RankResult> rank_by_range(const LinearOperator<T>& A, const RankInput& input, Index limit, Index guess,
                                        std::string& why) {
  Range<T> range{Matrix<T>(A.rows(), 0, A.device()), Matrix<T>(A.cols(), 0, A.device()), {}};
  const Index smaller = std::min(A.rows(), A.cols());
  constexpr Index first = 32, second = 128, probes = 16, beyond_guess = 8;
  double at_most = 0;  // σ₁ from above
  Index width = std::min(std::max(first, guess + beyond_guess), smaller);
  for (std::uint64_t stream = 0;; ++stream) {
    // 1. (I - QQᵀ)·A·[Ω, Ω'] in one sweep.
    Matrix<T> Omega(A.cols(), width + probes, A.device()), Y(A.rows(), width + probes, A.device());
    fill_normal<T>(Omega, input.options.seed, stream);
    A.multiply(Omega, Y);
    remove<T>(range.Q, Y);
    if (stream == 0) at_most = probed_norm(column_norms<T>(Y));

    // 2. Q grows by the directions of A·Ω that count.
    const double largest =
        range.sigma.empty() ? at_most / std::sqrt(static_cast<double>(A.cols())) : range.sigma.front();
    const Matrix<T> fresh =
        significant_directions<T>(Matrix<T>::copy_of(Y.left_cols(width)), range.Q, 0.25 * input.rule.at(largest));
    range.Q = joined<T>(range.Q, fresh);

    // 3. What Q misses now, by the probes Ω', of which Q knows nothing; the certificate.
    const MatrixView<T> rest = Y.view().middle_cols(width, probes);
    remove<T>(fresh, rest);
    const double missed = probed_norm(column_norms<T>(rest));
    if (missed <= input.rule.at(at_most) && range.Q.cols() > 0) {
      complete(A, range);
      const Bounds bounds(range.sigma, missed, input.rule);
      const double rounding = rounding_of(A, bounds.top);
      if (bounds.beyond <= bounds.low - rounding || (bounds.beyond <= 0.5 * bounds.low && input.rule.absolute < 0)) {
        if (bounds.r == 0 || bounds.here - rounding > bounds.high)
          return result_of(A, range, bounds, probes, input.norm, input.options.seed);
        why = fmt::format("a singular value near {:.3g} lies too close to the tolerance {:.3g}", bounds.here,
                          bounds.high);
        return std::nullopt;
      }
    }
    if (fresh.cols() == 0) {
      why = "what the range misses cannot be told from the tolerance";
      return std::nullopt;
    }
    if (input.options.progress)
      input.options.progress({"range finding", static_cast<double>(range.Q.cols()) / static_cast<double>(limit)});

    // 4. More columns, as long as there may be more.
    const Index room = limit - range.Q.cols();
    if (room <= 0) {
      why = fmt::format("the range needs more than {} columns", limit);
      return std::nullopt;
    }
    width = std::min(fresh.cols() < width ? probes : std::max(second, 2 * width), room);
  }
}

template std::optional<RankResult> rank_by_range(const LinearOperator<float>&, const RankInput&, Index, Index,
                                                 std::string&);
template std::optional<RankResult> rank_by_range(const LinearOperator<double>&, const RankInput&, Index, Index,
                                                 std::string&);

}  // namespace lowrank
