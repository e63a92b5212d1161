#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank {

/// Y = A·X and Z = Aᵀ·Y for a tall A by rows, in one sweep: a few rows of A at a time are multiplied while they lie in
/// the second-level cache, where Aᵀ·Y is nearly as quick as it can be. Rows are cut into slices, each with sums of its
/// own for Z, that depend on the shape alone; Z's are added up in their order. A in double may meet panels in float:
/// its entries are rounded once on their way.
template <Real S, Real T>
void panel_multiply_normal(MatrixView<const S> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z);

/// Whether that is faster than the two products (see bench/README.md for the measured crossover).
template <Real S, Real T>
bool panel_normal_suits(MatrixView<const S> A, Index columns);

}  // namespace lowrank
