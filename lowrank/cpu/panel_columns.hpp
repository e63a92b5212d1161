#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank::panel {

/// C = alpha·A·X + beta·C for A by columns and a panel of few columns, where panel_multiply's other kernels spend their
/// time on copying A: here A is read once, in long runs, where it lies. Vectors run along the rows, so that a column of
/// X costs a column and nothing is padded. Every entry of C is summed by one thread in an order that depends on the
/// shape alone. A in double may meet a panel in float: its entries are rounded on their way.
template <Real S, Real T>
void multiply_columns(T alpha, MatrixView<const S> A, MatrixView<const T> X, T beta, MatrixView<T> C);

/// Whether k columns are few enough for this to be the fastest of panel_multiply's ways on this processor.
template <Real S, Real T>
bool few_columns(Index k);

/// What the inner loops take: sums += A·X for a block of A's rows and some of its columns.
template <Real S, Real T>
struct ColumnsTask {
  const S* a;  ///< entry (i, l) of the block is a[i + l·lda]
  Index lda, rows, depth;
  Index following;  ///< columns of A after these, which are asked for early
  const T* x;       ///< entry (l, j) of X is x[l·x_row + j·x_col]
  Index x_row, x_col, k;
  T* sums;  ///< by columns, aligned, `pitch` apart: whole vectors, zeros or sums so far
  Index pitch;
};

}  // namespace lowrank::panel
