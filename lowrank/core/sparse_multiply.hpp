#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank {

/// A sparse matrix by compressed rows: row i holds the entries start[i] .. start[i + 1]. `sorted`: by column within
/// each row.
template <Real T>
struct CompressedRows {
  Index rows, cols;
  const Index *start, *col;
  const T* value;
  bool sorted;
};

/// Y = A·X on the host. The panel is taken by rows: an entry of A then meets k neighbouring numbers. They come from all
/// over the panel, so that such a product waits for memory: the rows of X that the next entries meet are asked for in
/// time, a panel that outgrows the cache is worked on in groups of columns, and where that is not enough in blocks of
/// rows, if A's rows are sorted. Vectors by Highway, chosen at run time; every entry of Y is summed by one thread in an
/// order that depends on A alone. Entries in double are rounded to a float panel's precision as they are read.
template <Real T, Real S>
void sparse_multiply(const CompressedRows<S>& A, MatrixView<const T> X, MatrixView<T> Y);

/// Y = Aᵀ·X likewise, the same to the bit as sparse_multiply with the rows of Aᵀ. Each thread goes through all of A
/// with its own columns of the panel and sums by rows, cols×k in all: fast where A has few columns for its rows, and
/// the panel a cache line for each thread.
template <Real T, Real S>
void sparse_multiply_transposed(const CompressedRows<S>& A, MatrixView<const T> X, MatrixView<T> Y);

}  // namespace lowrank
