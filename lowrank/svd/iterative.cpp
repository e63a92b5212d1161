#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/svd/iterations.hpp>
#include <lowrank/svd/scaling.hpp>
#include <memory>
#include <optional>

namespace lowrank {

Index panel_width(const MethodInput& input, Index limit, Index rank) {
  constexpr Index first_guess = 32;
  const Index k = input.wish.rank > 0 ? input.wish.rank : std::max(rank, first_guess);
  const Index extra = input.options.oversample >= 0 ? input.options.oversample : std::max<Index>(10, k / 10);
  return std::min(k + extra, std::max(limit, input.wish.rank));
}

template <Real T>
bool Coarse<T>::serves(const std::vector<double>& image) const {
  constexpr double margin = 4;
  const std::size_t third = std::max<std::size_t>(image.size() / 3, 1);
  double all = 0, last = 0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    all += image[i] * image[i];
    if (i >= image.size() - third) last += image[i] * image[i];
  }
  const double share = last / all * static_cast<double>(image.size()) / static_cast<double>(third);
  return std::sqrt(share) > margin * precision.reach();
}

template <Real T>
Matrix<T> rotated(MatrixView<const T> Q, const Matrix<double>& rotation, Index count) {
  return product<T>(Q, from_double<T>(rotation.left_cols(count), Q.device()));
}

template <Real T>
void take_triplets(MatrixView<const T> X, MatrixView<const T> Y, const CoreSvd& core, Index count, bool adjoint,
                   MethodResult<T>& result) {
  Matrix<T> here = rotated<T>(X, core.V, count), there = rotated<T>(Y, core.U, count);
  result.U = std::move(adjoint ? here : there);
  result.V = std::move(adjoint ? there : here);
  for (Index i = 0; i < count; ++i) result.S.push_back(static_cast<T>(core.S[static_cast<std::size_t>(i)]));
  result.exact_on_left = adjoint;
}

namespace {

/// What the Ritz values of a matrix rounded so are good to. Rounding changes entries by up to a share of themselves,
/// about as noise would, and singular values by what noise of that size changes them by.
Precision rounded_precision(Rounding to, Index smaller) {
  const double share = to == Rounding::to_bfloat16 ? 0x1p-9 : 0x1p-10;  // TF32: the units may cut.
  return {precision_of<float>().absolute, share / std::sqrt(static_cast<double>(smaller))};
}

constexpr Index kInFull = 2;  ///< Products that may have to follow those with the matrix rounded.

/// Whether the wish may be for an error within the reach of a rounded matrix, and the entries lie in float's range.
bool may_round(const Precision& precision, const MethodInput& input) {
  if (!input.options.rounded_passes || input.options.max_products <= kInFull) return false;
  if (input.norm <= 0 || safe_scale<float>(input.norm) != 1) return false;
  return input.wish.rank > 0 || input.wish.rtol >= precision.reach();
}

/// Runs `iteration` from where it starts, or none where that gave up.
template <class Iteration, Real T>
void run_on(Iteration& iteration, Index products, MethodResult<T>& result) {
  result.gave_up = !iteration.run(std::max<Index>(products, 1));
  if (!result.gave_up) iteration.finish(result);
  result.products += iteration.products();
  result.sweeps += iteration.sweeps();
}

/// A with its entries rounded, for passes that a wish may leave to it; or nothing.
template <Real T>
struct Passes {
  Passes(Rounding to, const LinearOperator<T>& A, const MethodInput& input)
      : precision(rounded_precision(to, std::min(A.rows(), A.cols()))) {
    constexpr double finest_excess = 2e-3;
    if (may_round(precision, input) && input.options.excess >= finest_excess) rounded = A.rounded(to);
    if (rounded) coarse.emplace(Coarse<float>{*rounded, precision});
  }
  Precision precision;
  std::unique_ptr<LinearOperator<float>> rounded;
  std::optional<Coarse<float>> coarse;
};

/// By the iteration in float, with the matrix more coarsely from the second product on where that serves; subspace
/// iteration in T goes on from what it has found. `name`: of the coarse entries.
template <template <class> class Iteration, Real T>
MethodResult<T> iterate_rounded(const LinearOperator<T>& A, const LinearOperator<float>& in_float, Passes<T> passes,
                                const char* name, const MethodInput& input, Index limit) {
  const Index products = input.options.max_products;
  MethodResult<T> result;
  for (;;) {
    Iteration<float> iteration(in_float, input, limit, passes.coarse ? &*passes.coarse : nullptr);
    iteration.start();
    const Index for_others = std::is_same_v<T, double> || passes.coarse ? kInFull : 0;
    result.gave_up = !iteration.run(std::max<Index>(products - result.products - for_others, 1));
    result.products += iteration.products();
    result.sweeps += iteration.sweeps();
    if (iteration.hidden()) {
      if (std::is_same_v<T, float>)
        result.note = fmt::format("{} products in {} told too little: again in float", iteration.products() - 1, name);
      passes.coarse.reset();
      continue;
    }
    if constexpr (std::is_same_v<T, float>)
      if (!iteration.is_coarse()) {
        if (!result.gave_up) iteration.finish(result);
        return result;
      }
    if (!result.gave_up) {
      SubspaceIteration<T> last(A, input, limit);
      last.start(iteration.handover());
      run_on(last, products - result.products, result);
    }
    result.rounded = true;
    const Index all = result.products, rounded = iteration.products();
    if (std::is_same_v<T, float>)
      result.note = fmt::format("{} of {} products in {}", rounded - 1, all, name);
    else if (iteration.is_coarse())
      result.note = fmt::format("1 of {} products in float, {} in {}", all, rounded - 1, name);
    else
      result.note = fmt::format("{} of {} products in float", rounded, all);
    return result;
  }
}

/// By the iteration in T; of a double matrix with it rounded first where that serves, of a float one where that is
/// wanted.
template <template <class> class Iteration, Real T>
MethodResult<T> iterate(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  if constexpr (std::is_same_v<T, double>) {
    if (may_round(precision_of<float>(), input))
      if (const auto in_float = A.rounded(Rounding::to_float))
        return iterate_rounded<Iteration, T>(A, *in_float, {Rounding::to_bfloat16, A, input}, "bfloat16", input, limit);
  } else if (input.options.tf32) {
    MethodResult<T> result = iterate_rounded<Iteration, T>(A, A, {Rounding::to_tf32, A, input}, "TF32", input, limit);
    if (result.note.empty())
      result.note = "no products in TF32: they would not tell enough, or the matrix is small or no dense one";
    return result;
  }
  MethodResult<T> result;
  Iteration<T> iteration(A, input, limit);
  iteration.start();
  run_on(iteration, input.options.max_products, result);
  return result;
}

}  // namespace

template <Real T>
MethodResult<T> randomized_method(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  return iterate<SubspaceIteration>(A, input, limit);
}

template <Real T>
MethodResult<T> krylov_method(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  // All of it in one block.
  if (panel_width(input, limit) >= std::min(A.rows(), A.cols())) {
    MethodResult<T> none;
    none.gave_up = true;
    return none;
  }
  return iterate<BlockKrylov>(A, input, limit);
}

template struct Coarse<float>;
template struct Coarse<double>;
template Matrix<float> rotated(MatrixView<const float>, const Matrix<double>&, Index);
template Matrix<double> rotated(MatrixView<const double>, const Matrix<double>&, Index);
template void take_triplets(MatrixView<const float>, MatrixView<const float>, const CoreSvd&, Index, bool,
                            MethodResult<float>&);
template void take_triplets(MatrixView<const double>, MatrixView<const double>, const CoreSvd&, Index, bool,
                            MethodResult<double>&);
template MethodResult<float> randomized_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> randomized_method(const LinearOperator<double>&, const MethodInput&, Index);
template MethodResult<float> krylov_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> krylov_method(const LinearOperator<double>&, const MethodInput&, Index);

}  // namespace lowrank
