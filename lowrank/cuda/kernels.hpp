#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/// Kernels over the entries of matrices; all begin work on a stream and return what the launch returned. This header
/// and what it includes are read by nvcc as well.

namespace lowrank::cuda {

/// A matrix on the GPU by strides, `down` from one row to the next. Kernels let neighbouring threads run along the
/// rows' index; callers transpose where the other one is contiguous.
template <class T>
struct Strided {
  T* data;
  std::int64_t rows, cols, down, right;
};

/// What is known of a part of a line: Σ(x/scale)², the largest |x| (NaN if there is one).
struct Moments {
  double squares, largest;
};

struct Largest {
  double value;
  std::int64_t row;
};

template <class T>
cudaError_t fill(Strided<T> X, T value, cudaStream_t stream);
/// to = from, entries converted; any strides. Tiles go through shared memory, so that both sides are read and written
/// in whole lines.
template <class From, class To>
cudaError_t copy(Strided<const From> from, Strided<To> to, cudaStream_t stream);
/// Y += alpha·X.
template <class T>
cudaError_t add(T alpha, Strided<const T> X, Strided<T> Y, cudaStream_t stream);
/// X(i, j) *= by[j], or by[i] with `of_rows`.
template <class T>
cudaError_t scale(Strided<T> X, const double* by, bool of_rows, cudaStream_t stream);
/// Columns are cut into `parts` pieces; out[part·cols + j]. `scales` (nullptr: none) is one number for each column.
template <class T>
cudaError_t column_moments(Strided<const T> X, const double* scales, std::int64_t parts, Moments* out,
                           cudaStream_t stream);
/// *first = min(*first, j·rows + i) over the entries that are NaN or Inf.
template <class T>
cudaError_t first_nonfinite(Strided<const T> X, unsigned long long* first, cudaStream_t stream);
/// out[j] is the entry of column j with the largest magnitude, the first of equals; NaN only where it is the first
/// entry.
template <class T>
cudaError_t largest_in_columns(Strided<const T> X, Largest* out, cudaStream_t stream);
/// As Philox::normal_pair gives them to row first_row + i and column j.
template <class T>
cudaError_t fill_normal(Strided<T> X, std::uint64_t seed, std::uint64_t stream_number, std::uint64_t first_row,
                        cudaStream_t stream);

}  // namespace lowrank::cuda
