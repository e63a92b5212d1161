#include <algorithm>
#include <lowrank/io/triplets.hpp>

namespace lowrank {
namespace {

template <Real T>
void sort_row(Index* cols, T* values, Index count, std::vector<std::pair<Index, T>>& buffer) {
  if (std::is_sorted(cols, cols + count)) return;
  buffer.clear();
  for (Index k = 0; k < count; ++k) buffer.emplace_back(cols[k], values[k]);
  std::stable_sort(buffer.begin(), buffer.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (Index k = 0; k < count; ++k) std::tie(cols[k], values[k]) = buffer[static_cast<std::size_t>(k)];
}

/// Adds up equal columns of a sorted row; returns how many are left.
template <Real T>
Index add_duplicates(const Index* cols, const T* values, Index count, Index* to_cols, T* to_values) {
  Index kept = 0;
  for (Index k = 0; k < count; ++k) {
    if (kept > 0 && to_cols[kept - 1] == cols[k]) {
      to_values[kept - 1] += values[k];
    } else {
      to_cols[kept] = cols[k];
      to_values[kept++] = values[k];
    }
  }
  return kept;
}

}  // namespace

template <Real T>
Index tidy_rows(SparseMatrix<T>& A) {
  Index* start = A.outerIndexPtr();
  const Index count = start[A.rows()];
  std::vector<std::pair<Index, T>> buffer;
  Index written = 0, first = start[0];
  for (Index i = 0; i < A.rows(); ++i) {
    const Index next = start[i + 1], length = next - first;
    sort_row(A.innerIndexPtr() + first, A.valuePtr() + first, length, buffer);
    start[i] = written;
    written += add_duplicates(A.innerIndexPtr() + first, A.valuePtr() + first, length, A.innerIndexPtr() + written,
                              A.valuePtr() + written);
    first = next;
  }
  start[A.rows()] = written;
  A.resizeNonZeros(written);
  return count - written;
}

template <Real T>
SparseMatrix<T> compress(Index rows, Index cols, const Triplets<T>& entries, Index& duplicates) {
  SparseMatrix<T> result(rows, cols);
  result.resizeNonZeros(static_cast<Index>(entries.row.size()));
  Index* start = result.outerIndexPtr();
  std::fill(start, start + rows + 1, Index{0});
  for (const Index i : entries.row) ++start[i + 1];
  for (Index i = 0; i < rows; ++i) start[i + 1] += start[i];
  std::vector<Index> next(start, start + rows);
  for (std::size_t k = 0; k < entries.row.size(); ++k) {
    const Index at = next[static_cast<std::size_t>(entries.row[k])]++;
    result.innerIndexPtr()[at] = entries.col[k];
    result.valuePtr()[at] = entries.value[k];
  }
  duplicates = tidy_rows(result);
  return result;
}

#define LOWRANK_INSTANTIATE(T)                \
  template Index tidy_rows(SparseMatrix<T>&); \
  template SparseMatrix<T> compress(Index, Index, const Triplets<T>&, Index&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
