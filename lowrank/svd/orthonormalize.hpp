#pragma once

#include <lowrank/core/primitives.hpp>

namespace lowrank {

/// Throws std::invalid_argument where Y, a product with A, has NaN or Inf: for operators that do not look at entries.
template <Real T>
void require_finite(MatrixView<const T> Y);

/// X = Q·R, X (m×k, m >= k) is overwritten by Q; R is k×k upper triangular, in double.
///
/// Cholesky-QR in steps (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015): G = XᵀX in double, Cholesky, X ← X·R⁻¹, until
/// max |XᵀX - I| is of the order of rounding; that is checked after every step. Where the Cholesky factorization breaks
/// down or the steps do not get there (rank-deficient panels), Householder QR. 2·m·k² flops a step, two steps as a
/// rule. Throws std::invalid_argument for NaN or Inf.
template <Real T>
Matrix<double> orthonormalize(MatrixView<T> X);

/// Y ← Y - Q·C with C = QᵀY, which is returned.
template <Real T>
Matrix<T> project_out(MatrixView<const T> Q, MatrixView<T> Y);

/// Y ← an orthonormal basis of (I - QQᵀ)·Y for an orthonormal Q with Q.cols() + Y.cols() <= Y.rows(), projected and
/// orthonormalized until max |QᵀY| is of the order of rounding, twice as a rule. Columns that lie in the span of Q give
/// way to random directions. Returns the coefficients: Y_old = Q·C + Y·R, but for what was left of such columns.
struct BlockCoefficients {
  Matrix<double> C, R;
  double lost = 0;  ///< the Frobenius norm of that
};
template <Real T>
BlockCoefficients orthonormalize_against(MatrixView<const T> Q, MatrixView<T> Y);

/// max |XᵀX - I|.
template <Real T>
double orthogonality_defect(MatrixView<const T> X);

}  // namespace lowrank
