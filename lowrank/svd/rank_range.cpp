#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/svd/orthonormalize.hpp>
#include <lowrank/svd/rank_methods.hpp>
#include <numbers>

namespace lowrank {
namespace {

/// An orthonormal basis Q of part of A's range with the rows of QᵀA, kept as AᵀQ.
template <Real T>
struct Range {
  Matrix<T> Q, image;
};

template <Real T>
Matrix<T> joined(Matrix<T> X, Matrix<T> Y) {
  if (X.cols() == 0) return Y;
  Matrix<T> both(X.rows(), X.cols() + Y.cols(), X.device());
  copy<T>(X, both.left_cols(X.cols()));
  copy<T>(Y, both.view().middle_cols(X.cols(), Y.cols()));
  return both;
}

/// Y ← (I - QQᵀ)·Y, twice, so that what is left is not rounding of what was taken.
template <Real T>
void project_out(MatrixView<const T> Q, MatrixView<T> Y) {
  if (Q.cols() == 0) return;
  for (int pass = 0; pass < 2; ++pass) {
    const Matrix<T> C = product<T>(Q.transposed(), Y);
    multiply<T>(T(-1), Q, C, T(1), Y);
  }
}

/// ‖E‖₂ from E·Ω with failure probability 1e-10 (Halko, Martinsson, Tropp 2011, lemma 4.1).
template <Real T>
double probed_norm(MatrixView<const T> EOmega) {
  const std::vector<double> norms = column_norms<T>(EOmega);
  const double alpha = std::pow(1e-10, -1.0 / static_cast<double>(norms.size()));
  return alpha * std::sqrt(2 / std::numbers::pi) * *std::max_element(norms.begin(), norms.end());
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

}  // namespace

template <Real T>
std::optional<RankResult> rank_by_range(const LinearOperator<T>& A, const RankInput& input, Index limit,
                                        std::string& why) {
  Range<T> range{Matrix<T>(A.rows(), 0, A.device()), Matrix<T>(A.cols(), 0, A.device())};
  std::vector<double> sigma;
  constexpr Index first_block = 32, probes = 16;
  Index width = first_block;
  for (std::uint64_t stream = 0;; ++stream) {
    // 1. E·Ω with E = (I - QQᵀ)·A: a bound on what the basis misses, and candidates for it.
    Matrix<T> Omega(A.cols(), width, A.device()), Y(A.rows(), width, A.device());
    fill_normal<T>(Omega, input.options.seed, stream);
    A.multiply(Omega, Y);
    project_out<T>(range.Q, Y);
    const double missed = probed_norm<T>(Y);

    // 2. The certificate: σ_r(QᵀA) > tol, and σ_{r+1}(A)² <= σ_{r+1}(QᵀA)² + ‖E‖² <= tol².
    if (!sigma.empty()) {
      const double top = std::hypot(sigma.front(), missed), rounding = rounding_of(A, top);
      const double low = input.rule.at(sigma.front()), high = input.rule.at(top);
      const Index r = std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > low; });
      const double here = r > 0 ? sigma[static_cast<std::size_t>(r - 1)] : 0;
      const double beyond =
          std::hypot(r < static_cast<Index>(sigma.size()) ? sigma[static_cast<std::size_t>(r)] : 0.0, missed);
      if (beyond <= low - rounding || (beyond <= 0.5 * low && input.rule.absolute < 0)) {
        if (r > 0 && here - rounding <= high) {
          why = fmt::format("a singular value near {:.3g} lies too close to the tolerance {:.3g}", here, high);
          return std::nullopt;
        }
        RankResult result;
        result.rank = r;
        result.tolerance = low;
        result.method = "randomized";
        result.certified = true;
        result.sigma_max = sigma.front();
        result.sigma_rank = here;
        result.sigma_next = r < std::min(A.rows(), A.cols()) ? beyond : 0;
        sigma.resize(static_cast<std::size_t>(r));
        result.singular_values = std::move(sigma);
        result.reason = fmt::format(
            "{} columns of range with {} probes: sigma_r of QᵀA and the bound on the rest lie on either side of the "
            "tolerance",
            range.Q.cols(), width);
        return result;
      }
    }

    // 3. Grow the basis by the directions that count.
    if (range.Q.cols() + width > limit) {
      why = fmt::format("the range needs more than {} columns", limit);
      return std::nullopt;
    }
    const double largest = sigma.empty() ? missed / std::sqrt(static_cast<double>(A.cols())) : sigma.front();
    Matrix<T> fresh = significant_directions<T>(std::move(Y), range.Q, 0.25 * input.rule.at(largest));
    const bool exhausted = fresh.cols() < width;
    if (fresh.cols() == 0) {
      why = "what the range misses cannot be told from the tolerance";
      return std::nullopt;
    }
    Matrix<T> image(A.cols(), fresh.cols(), A.device());
    A.multiply_adjoint(fresh, image);
    range.Q = joined(std::move(range.Q), std::move(fresh));
    range.image = joined(std::move(range.image), std::move(image));
    sigma = singular_values(range.image);
    if (input.options.progress)
      input.options.progress({"range finding", static_cast<double>(range.Q.cols()) / static_cast<double>(limit)});
    width = exhausted ? probes : std::min(2 * width, std::max(limit - range.Q.cols(), probes));
  }
}

template std::optional<RankResult> rank_by_range(const LinearOperator<float>&, const RankInput&, Index, std::string&);
template std::optional<RankResult> rank_by_range(const LinearOperator<double>&, const RankInput&, Index, std::string&);

}  // namespace lowrank
