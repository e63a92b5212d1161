#pragma once

#include <lowrank/svd/stopping.hpp>
#include <lowrank/svd/svd.hpp>

/// The methods behind truncated_svd. Each returns U, S and V with method, products and converged set; truncated_svd
/// adds the rest. A has been checked and scaled, `wish` holds a rank or an rtol.

namespace lowrank {

/// What a method is told beside A.
struct MethodInput {
  Truncation wish;
  double norm;  ///< ‖A‖_F, negative when unknown
  const SvdOptions& options;
};

template <Real T>
struct MethodResult {
  Matrix<T> U;
  std::vector<T> S;
  Matrix<T> V;
  Index products = 0;  ///< panel products
  Index sweeps = 0;    ///< sweeps over A
  bool converged = false;
  bool gave_up = false;           ///< the wish needs more columns than a truncated method is good for
  bool exact_on_left = true;      ///< Aᵀ·U = V·S by construction, else A·V = U·S
  ResidualBlock<T> residual;      ///< of the side that is not exact, where known
  std::optional<ExactTail> tail;  ///< where known (exact)
  bool rounded = false;           ///< the basis was found by products with A rounded: its entries are in float's range
  std::string note;
};

/// Bytes that exact_method takes beside A.
template <Real T>
double exact_memory(const LinearOperator<T>& A);

/// All of the SVD by LAPACK, then cut. 26·n³ flops for a square matrix.
template <Real T>
MethodResult<T> exact_method(const LinearOperator<T>& A, const MethodInput& input);

/// Subspace iteration: SubspaceIteration (iterations.hpp). For an rtol the basis grows until the wish is met (fixed
/// precision). Gives up when the basis would need more than `limit` columns. Where A.rounded() serves (SvdOptions::
/// rounded_passes) half-steps with it find the basis and half-steps of subspace iteration in T go on from it: at least
/// one, and at least two where the error is out of the rounded matrix's reach.
template <Real T>
MethodResult<T> randomized_method(const LinearOperator<T>& A, const MethodInput& input, Index limit);

/// Block Krylov: BlockKrylov (iterations.hpp), likewise. It gives up, too, when the basis comes to the end of the
/// space.
template <Real T>
MethodResult<T> krylov_method(const LinearOperator<T>& A, const MethodInput& input, Index limit);

/// Q·(the first `count` columns of a small rotation): a basis turned to its Ritz vectors.
template <Real T>
Matrix<T> rotated(MatrixView<const T> Q, const Matrix<double>& rotation, Index count);

/// Columns of a panel for `rank` triplets; for the first one of a wish without a rank that is a guess.
Index panel_width(const MethodInput& input, Index limit, Index rank = 0);

/// Columns of a block of a Krylov basis.
Index krylov_block(const MethodInput& input, Index limit);

}  // namespace lowrank
