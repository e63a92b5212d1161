#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/svd/iterations.hpp>
#include <lowrank/svd/scaling.hpp>
#include <memory>

namespace lowrank {

Index panel_width(const MethodInput& input, Index limit, Index rank) {
  constexpr Index first_guess = 32;
  const Index k = input.wish.rank > 0 ? input.wish.rank : std::max(rank, first_guess);
  const Index extra = input.options.oversample >= 0 ? input.options.oversample : std::max<Index>(10, k / 10);
  return std::min(k + extra, std::max(limit, input.wish.rank));
}

template <Real T>
Matrix<T> rotated(MatrixView<const T> Q, const Matrix<double>& rotation, Index count) {
  return product<T>(Q, from_double<T>(rotation.left_cols(count), Q.device()));
}

template <Real T>
void take_triplets(MatrixView<const T> X, MatrixView<const T> Y, const ThinSvd<double>& core, Index count, bool adjoint,
                   MethodResult<T>& result) {
  Matrix<T> here = rotated<T>(X, core.V, count), there = rotated<T>(Y, core.U, count);
  result.U = std::move(adjoint ? here : there);
  result.V = std::move(adjoint ? there : here);
  for (Index i = 0; i < count; ++i) result.S.push_back(static_cast<T>(core.S[static_cast<std::size_t>(i)]));
  result.exact_on_left = adjoint;
}

namespace {

/// What the Ritz values of the rounded matrix are good to. Rounding to bfloat16 changes entries by up to 2^-9 of
/// themselves, about as noise would: singular values then change by that share of their entries' part in them.
Precision rounded_precision(Rounding to, Index smaller) {
  const Precision sums = precision_of<float>();
  if (to == Rounding::to_float) return sums;
  return {sums.absolute, 0x1p-9 / std::sqrt(static_cast<double>(smaller))};
}

/// Whether the wish may be for an error within the reach of a rounded matrix, and the entries lie in float's range.
bool serves(Rounding to, const Precision& precision, const MethodInput& input, Index products_left) {
  constexpr Index in_full = 2;  // Products that may have to follow.
  if (!input.options.rounded_passes || products_left <= in_full) return false;
  if (input.norm <= 0 || safe_scale<float>(input.norm) != 1) return false;
  constexpr double finest = 2e-3;
  if (to == Rounding::to_bfloat16 && input.options.excess < finest) return false;
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

/// Whether products with the rounded matrix spare more than what follows them costs, a product and a certificate with
/// all columns: in double always; in float, which is only twice as slow, where those are no more than a block's.
template <template <class> class Iteration, Real T>
bool pays(const MethodInput& input, Index limit) {
  return std::is_same_v<T, double> || 3 * Iteration<T>::first_block(input, limit) >= 2 * panel_width(input, limit);
}

/// By the iteration in T; or, where products with the rounded matrix serve, by it with those first and subspace
/// iteration in T on what it found.
template <template <class> class Iteration, Real T>
MethodResult<T> iterate(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const Index products = input.options.max_products;
  MethodResult<T> result;
  for (const Rounding to : {Rounding::to_bfloat16, Rounding::to_float}) {
    const Precision precision = rounded_precision(to, std::min(A.rows(), A.cols()));
    const Index left = products - result.products;
    const std::unique_ptr<LinearOperator<float>> rounded =
        serves(to, precision, input, left) && pays<Iteration, T>(input, limit) ? A.rounded(to) : nullptr;
    if (!rounded) continue;
    Iteration<float> rough(*rounded, input, limit, precision);
    rough.start();
    result.gave_up = !rough.run(left - 2);
    result.products += rough.products();
    result.sweeps += rough.sweeps();
    if (rough.hidden()) continue;
    if (!result.gave_up) {
      SubspaceIteration<T> iteration(A, input, limit);
      iteration.start(rough.handover());
      run_on(iteration, products - result.products, result);
    }
    result.rounded = true;
    result.note = fmt::format("{} of {} products in {}", rough.products(), result.products,
                              to == Rounding::to_float ? "float" : "bfloat16");
    return result;
  }
  Iteration<T> iteration(A, input, limit);
  iteration.start();
  run_on(iteration, products - result.products, result);
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

template Matrix<float> rotated(MatrixView<const float>, const Matrix<double>&, Index);
template Matrix<double> rotated(MatrixView<const double>, const Matrix<double>&, Index);
template void take_triplets(MatrixView<const float>, MatrixView<const float>, const ThinSvd<double>&, Index, bool,
                            MethodResult<float>&);
template void take_triplets(MatrixView<const double>, MatrixView<const double>, const ThinSvd<double>&, Index, bool,
                            MethodResult<double>&);
template MethodResult<float> randomized_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> randomized_method(const LinearOperator<double>&, const MethodInput&, Index);
template MethodResult<float> krylov_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> krylov_method(const LinearOperator<double>&, const MethodInput&, Index);

}  // namespace lowrank
