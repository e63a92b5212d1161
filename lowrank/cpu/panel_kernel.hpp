#pragma once

#include <lowrank/core/types.hpp>

/// The inner loops of panel_multiply, for AVX2, AVX-512, NEON and SSE4, chosen at run time.

namespace lowrank::panel {

struct Shape {
  Index vector_bytes;
  Index most_vectors;  ///< in a group of columns
  Index strip;         ///< rows of A that go through the kernels together
};
Shape shape();

/// Lines of A (rows or columns) whose memory is asked for while others are computed with.
struct Ahead {
  const char* data = nullptr;
  Index line = 0, entry = 0;  ///< from one line to the next, and of an entry, in bytes
  Index count = 0;

  /// The part p of `parts`: so the requests are spread over what is computed.
  Ahead share(Index p, Index parts) const {
    const Index first = p * count / parts;
    return {data + first * line, line, entry, (p + 1) * count / parts - first};
  }
  Ahead from_entry(Index i) const { return {data + i * entry, line, entry, count}; }
  /// Entries i to i + n of every line. Locality 3 is the first-level cache, 2 the second.
  template <int locality>
  void ask(Index i, Index n) const {
    const char* at = data + i * entry;
    for (Index c = 0; c < count; ++c, at += line)
      for (Index byte = 0; byte < n * entry; byte += 64) __builtin_prefetch(at + byte, 0, locality);
  }
};

/// sums (`pitch` apart, aligned) += a·x for a strip of A and one group of columns, so many vectors wide: entry (i, l)
/// of A is a[i·a_row + l·a_col]; x holds `depth` rows of the group without gaps, aligned. Of the lines ahead `depth`
/// entries are asked for.
template <class S, class T>
struct StripTask {
  const S* a;
  Index a_row, a_col;
  const T* x;
  Index depth;
  T* sums;
  Index pitch;
  Ahead ahead;
};
void multiply_strip(Index vectors, const StripTask<float, float>& task);
void multiply_strip(Index vectors, const StripTask<double, double>& task);
void multiply_strip(Index vectors, const StripTask<double, float>& task);

/// The rows that go with a group of so many vectors.
constexpr Index rows_of_group(Index strip, Index vectors) { return vectors == 1 ? strip / 3 : strip / vectors; }

/// sums (rows_of_group rows, `pitch` apart, aligned) += Xᵀ·A for `depth` rows of A, `vectors` vectors of each where
/// they lie, and as many rows of X, of which rows_of_group entries are taken. Of `rows_ahead` rows from `ahead` on the
/// same is asked for.
template <class T>
struct RunTask {
  const T* x;
  Index x_row;
  const T* a;
  Index lda, depth;
  T* sums;
  Index pitch;
  const T* ahead;
  Index rows_ahead;
};
void multiply_run(Index vectors, const RunTask<float>& task);
void multiply_run(Index vectors, const RunTask<double>& task);

/// n entries, converted where the types differ, cut in strips: entry i goes to to[i / strip·pitch + i % strip], and
/// zeros fill the last strip.
void copy_in_strips(const float* from, Index n, float* to, Index pitch);
void copy_in_strips(const double* from, Index n, double* to, Index pitch);
void copy_in_strips(const double* from, Index n, float* to, Index pitch);

}  // namespace lowrank::panel
