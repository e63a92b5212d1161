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

/// Y = A·X on the host, and so Aᵀ·X where A holds the columns. The panel is taken by rows: an entry of A then meets k
/// neighbouring numbers. They come from all over the panel, so that such a product waits for memory: the rows of X that
/// the next entries meet are asked for in time, and a panel that outgrows the cache is worked on in blocks of rows
/// where A's rows are sorted. Vectors by Highway, chosen at run time; every entry of Y is summed by one thread in an
/// order that depends on A alone.
template <Real T>
void sparse_multiply(const CompressedRows<T>& A, MatrixView<const T> X, MatrixView<T> Y);

}  // namespace lowrank
