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

/// C += a·x for a strip of A and one group of columns, `vectors` vectors wide: entry (i, l) of A is a[i·a_row +
/// l·a_col]; x holds `depth` rows of the group without gaps, aligned; rows of C are ldc apart, aligned.
void multiply_strip(Index vectors, const float* a, Index a_row, Index a_col, const float* x, Index depth, float* c,
                    Index ldc);
void multiply_strip(Index vectors, const double* a, Index a_row, Index a_col, const double* x, Index depth, double* c,
                    Index ldc);
void multiply_strip(Index vectors, const double* a, Index a_row, Index a_col, const float* x, Index depth, float* c,
                    Index ldc);

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
