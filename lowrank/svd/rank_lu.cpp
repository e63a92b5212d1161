#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/svd/orthonormalize.hpp>
#include <lowrank/svd/probes.hpp>
#include <lowrank/svd/rank_methods.hpp>

namespace lowrank {
namespace {

/// ω - A·x for each column.
template <Real T>
Matrix<T> residual(MatrixView<const T> A, MatrixView<const T> X, MatrixView<const T> Omega) {
  Matrix<T> rest = Matrix<T>::copy_of(Omega);
  multiply<T>(T(-1), A, X, T(1), rest);
  return rest;
}

template <Real T>
double largest_column(MatrixView<const T> X) {
  const std::vector<double> norms = column_norms<T>(X);
  return *std::max_element(norms.begin(), norms.end());
}

template <Real T>
Matrix<T> identity(Index n, Device& device) {
  Matrix<T> I(n, n, device);
  fill<T>(I, T(0));
  for (Index i = 0; i < n; ++i) fill<T>(I.view().block(i, i, 1, 1), T(1));
  return I;
}

/// X with A·X ≈ Ω: iterative refinement, the LU in float, residuals in T (Higham 2002, ch. 12). Until the residuals are
/// below `enough` or stop falling.
template <Real T>
struct Solution {
  Matrix<T> X;
  double residual;  ///< the largest of the columns
};

template <Real T>
Solution<T> solve(MatrixView<const T> A, const LuFactors& lu, MatrixView<const T> Omega, double enough) {
  const Matrix<T> I = identity<T>(Omega.cols(), A.device());
  Matrix<T> X(Omega.rows(), Omega.cols(), A.device()), rest = Matrix<T>::copy_of(Omega);
  fill<T>(X, T(0));
  constexpr int most = 8;
  double before = largest_column<T>(rest);
  for (int step = 0; step < most; ++step) {
    lu_solve<T>(lu, Transpose::no, rest);
    Matrix<T> next = Matrix<T>::copy_of(X);
    multiply<T>(T(1), rest, I, T(1), next);
    Matrix<T> left = residual<T>(A, next, Omega);
    const double now = largest_column<T>(left);
    if (!(now < 0.5 * before)) break;
    X = std::move(next);
    rest = std::move(left);
    before = now;
    if (now <= enough) break;
  }
  return {std::move(X), before};
}

/// σ_min from above: the least Ritz value of a step of inverse iteration from X = A⁻¹·Ω.
template <Real T>
double smallest_from_above(MatrixView<const T> A, const LuFactors& lu, Matrix<T> X) {
  orthonormalize<T>(X);
  lu_solve<T>(lu, Transpose::yes, X);
  orthonormalize<T>(X);
  lu_solve<T>(lu, Transpose::no, X);
  orthonormalize<T>(X);
  Matrix<T> image = product<T>(A, X);
  return thin_svd<double>(orthonormalize<T>(image), Vectors::none).S.back();
}

}  // namespace

template <Real T>
std::optional<RankResult> full_rank_by_lu(const LinearOperator<T>& original, const RankInput& input, Interval top,
                                          std::string& why) {
  const auto entries = original.entries();
  const Index n = original.rows();
  if (!entries || n != original.cols()) {
    why = "LU: for dense square matrices only";
    return std::nullopt;
  }
  // The rank of Aᵀ is that of A: whichever lies in columns.
  const MatrixView<const T> A = entries->order() == Order::col_major ? *entries : entries->transposed();
  const std::optional<LuFactors> lu = lu_in_float<T>(A, std::ldexp(1.0, -std::ilogb(top.high)));
  if (!lu) {
    why = "LU in float: singular to its rounding";
    return std::nullopt;
  }

  // For u, v the last singular vectors: uᵀω = uᵀ(A·x) + uᵀ(ω - A·x), hence σ_min·‖x‖ >= |uᵀω| - ‖ω - A·x‖ for any x.
  constexpr Index probes = 16;
  const double least = least_probe(probes);
  Matrix<T> Omega(n, probes, A.device());
  fill_normal<T>(Omega, input.options.seed, 1);
  Solution<T> solution = solve<T>(A, *lu, Omega, 0.05 * least);
  const double bound = (least - solution.residual) / largest_column<T>(solution.X) - rounding_of(original, top.high);
  if (!(solution.residual < least && bound > input.rule.at(top.high))) {
    why = fmt::format("LU in float: residuals of {:.3g} do not prove full rank", solution.residual);
    return std::nullopt;
  }
  RankResult result;
  result.rank = n;
  result.tolerance = input.rule.at(top.low);
  result.method = "lu";
  result.certified = true;
  result.sigma_max = top.low;
  result.sigma_rank = smallest_from_above<T>(A, *lu, std::move(solution.X));
  result.reason = fmt::format(
      "LU in float, refined: {} solutions of A·x = ω prove sigma_{} >= {:.3g} with probability 1 - {:g}, so the rank "
      "is full",
      probes, n, bound, probe_failure);
  return result;
}

template std::optional<RankResult> full_rank_by_lu(const LinearOperator<float>&, const RankInput&, Interval,
                                                   std::string&);
template std::optional<RankResult> full_rank_by_lu(const LinearOperator<double>&, const RankInput&, Interval,
                                                   std::string&);

}  // namespace lowrank
