#include <fmt/core.h>

#include <algorithm>
#include <lowrank/svd/iterations.hpp>
#include <lowrank/svd/scaling.hpp>
#include <memory>

namespace lowrank {

Index panel_width(const MethodInput& input, Index limit) {
  constexpr Index first_guess = 32;
  const Index k = input.wish.rank > 0 ? input.wish.rank : first_guess;
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

/// Whether the wish may be for an error within float's reach, and the entries lie in its range.
bool float_serves(const MethodInput& input) {
  constexpr Index in_double = 2;  // Products that may have to follow.
  if (!input.options.float_passes || input.options.max_products <= in_double) return false;
  if (input.norm <= 0 || safe_scale<float>(input.norm) != 1) return false;
  return input.wish.rank > 0 || input.wish.rtol >= kFloatsReach;
}

/// Runs `iteration` from where it starts, or none where that gave up.
template <class Iteration, Real T>
void run_on(Iteration& iteration, Index products, MethodResult<T>& result) {
  result.gave_up = !iteration.run(std::max<Index>(products, 1));
  if (!result.gave_up) iteration.finish(result);
  result.products += iteration.products();
  result.sweeps += iteration.sweeps();
}

/// By the iteration in T; or, where products in float serve, by it in float first and subspace iteration in T on what
/// it found.
template <template <class> class Iteration, Real T>
MethodResult<T> iterate(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const Index products = input.options.max_products;
  MethodResult<T> result;
  const std::unique_ptr<LinearOperator<float>> rounded = float_serves(input) ? A.in_float() : nullptr;
  if (!rounded) {
    Iteration<T> iteration(A, input, limit);
    iteration.start();
    run_on(iteration, products, result);
    return result;
  }
  Iteration<float> rough(*rounded, input, limit);
  rough.start();
  result.gave_up = !rough.run(products - 2);
  result.products = rough.products();
  result.sweeps = rough.sweeps();
  if (!result.gave_up) {
    SubspaceIteration<T> iteration(A, input, limit);
    iteration.start(rough.handover());
    run_on(iteration, products - rough.products(), result);
  }
  result.note = fmt::format("{} of {} products in float", rough.products(), result.products);
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
