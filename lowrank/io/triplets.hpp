#pragma once

#include <lowrank/core/sparse.hpp>
#include <vector>

namespace lowrank {

/// Entries of a sparse matrix in the order in which a file gives them.
template <Real T>
struct Triplets {
  std::vector<Index> row, col;
  std::vector<T> value;

  explicit Triplets(Index count) {
    row.reserve(static_cast<std::size_t>(count));
    col.reserve(static_cast<std::size_t>(count));
    value.reserve(static_cast<std::size_t>(count));
  }
  void add(Index i, Index j, T v) {
    row.push_back(i);
    col.push_back(j);
    value.push_back(v);
  }
};

/// The matrix of these entries, which must lie within rows×cols, as tidy_rows leaves it; `duplicates` is how many it
/// added to others. Sorts by counting: rows first, then, where needed, the columns within a row.
template <Real T>
SparseMatrix<T> compress(Index rows, Index cols, const Triplets<T>& entries, Index& duplicates);

/// Puts the entries of each row in the order of their columns and adds up those of the same column, in the order in
/// which they came. Returns how many entries there are fewer.
template <Real T>
Index tidy_rows(SparseMatrix<T>& A);

}  // namespace lowrank
