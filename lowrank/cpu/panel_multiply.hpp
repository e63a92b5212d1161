#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank {

/// C = alpha·A·X + beta·C for a large A and a panel X of few columns, by kernels that read A once and never copy more
/// of it than a block: OpenBLAS spends most of such a product on packing. Vectors run along the columns of X, entries
/// of A are broadcast; with few columns, and A by columns, it is the other way round (panel_columns). For AVX2, AVX-512
/// and NEON, chosen at run time. Every entry of C is summed by one thread in an order that depends on the shape alone.
/// A in double may meet a panel in float: its entries are rounded on their way.
template <Real S, Real T>
void panel_multiply(T alpha, MatrixView<const S> A, MatrixView<const T> X, T beta, MatrixView<T> C);

/// Whether the processor has vectors that make panel_multiply as fast as it is meant to be.
bool panel_multiply_is_vectorized();

/// Whether panel_multiply is the faster way for this product on this machine (see bench/README.md for the measured
/// crossover).
template <Real T>
bool panel_multiply_suits(MatrixView<const T> A, MatrixView<const T> X);

}  // namespace lowrank
