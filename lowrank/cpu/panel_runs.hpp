#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank::panel {

/// C = alpha·A·X + beta·C for A by columns: vectors run down the columns of A where they lie, some columns deep, so
/// that nothing is copied and a block of A stays in the second-level cache for all columns of X. Every entry of C is
/// summed by one thread in an order that depends on the shape alone.
template <Real T>
void multiply_runs(T alpha, MatrixView<const T> A, MatrixView<const T> X, T beta, MatrixView<T> C);

}  // namespace lowrank::panel
