#include <algorithm>
#include <lowrank/core/random.hpp>
#include <lowrank/cuda/kernels.hpp>

namespace lowrank::cuda {
namespace {

constexpr int threads = 256, warp = 32;
constexpr std::int64_t most_blocks = 1 << 16;

unsigned blocks_for(std::int64_t items, std::int64_t each) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((items + each - 1) / each, 1, most_blocks));
}

/// body(i, j) for each entry, i fastest. Count is of 32 bits where those suffice: a division of 64 takes longer than
/// the memory.
template <class Count, class Body>
__global__ void over_entries(Count rows, Count cols, Body body) {
  const Count step = static_cast<Count>(gridDim.x) * blockDim.x;
  for (Count at = static_cast<Count>(blockIdx.x) * blockDim.x + threadIdx.x; at < rows * cols; at += step)
    body(static_cast<std::int64_t>(at % rows), static_cast<std::int64_t>(at / rows));
}

template <class Body>
cudaError_t for_entries(std::int64_t rows, std::int64_t cols, cudaStream_t stream, Body body) {
  if (rows == 0 || cols == 0) return cudaSuccess;
  const unsigned blocks = blocks_for(rows * cols, threads);
  if (rows * cols <= INT32_MAX)
    over_entries<<<blocks, threads, 0, stream>>>(static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(cols),
                                                 body);
  else
    over_entries<<<blocks, threads, 0, stream>>>(rows, cols, body);
  return cudaGetLastError();
}

template <class T>
struct Fill {
  Strided<T> X;
  T value;
  __device__ void operator()(std::int64_t i, std::int64_t j) const { X.data[i * X.down + j * X.right] = value; }
};

template <class T>
struct Add {
  T alpha;
  Strided<const T> X;
  Strided<T> Y;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    T& y = Y.data[i * Y.down + j * Y.right];
    y += alpha * X.data[i * X.down + j * X.right];
  }
};

template <class T>
struct Scale {
  Strided<T> X;
  const double* by;
  bool of_rows;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    T& x = X.data[i * X.down + j * X.right];
    x = static_cast<T>(static_cast<double>(x) * by[of_rows ? i : j]);
  }
};

template <class T>
struct FindNonfinite {
  Strided<const T> X;
  unsigned long long* first;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    if (!isfinite(X.data[i * X.down + j * X.right])) atomicMin(first, static_cast<unsigned long long>(j * X.rows + i));
  }
};

/// As Philox::normal_pair, for pair p of row i.
template <class T>
struct Normals {
  Strided<T> X;
  Philox philox;
  std::uint64_t first_row;
  __device__ void operator()(std::int64_t i, std::int64_t p) const {
    const NormalPair pair =
        philox.normal_pair(first_row + static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(p));
    T* x = X.data + i * X.down + 2 * p * X.right;
    *x = static_cast<T>(pair.first);
    if (2 * p + 1 < X.cols) x[X.right] = static_cast<T>(pair.second);
  }
};

/// Tiles of 32×32; threads (32, 8). Neighbouring threads read along the rows' index and, where `turn`, write along the
/// columns'.
template <class From, class To>
__global__ void copy_tiles(Strided<const From> from, Strided<To> to, bool turn) {
  __shared__ To tile[warp][warp + 1];
  const std::int64_t across = (from.rows + warp - 1) / warp, tiles = across * ((from.cols + warp - 1) / warp);
  for (std::int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const std::int64_t i0 = t % across * warp, j0 = t / across * warp;
    for (int j = threadIdx.y; j < warp; j += blockDim.y)
      if (i0 + threadIdx.x < from.rows && j0 + j < from.cols)
        tile[j][threadIdx.x] = static_cast<To>(from.data[(i0 + threadIdx.x) * from.down + (j0 + j) * from.right]);
    __syncthreads();
    for (int k = threadIdx.y; k < warp; k += blockDim.y) {
      const int i = turn ? k : threadIdx.x, j = turn ? threadIdx.x : k;
      if (i0 + i < to.rows && j0 + j < to.cols) to.data[(i0 + i) * to.down + (j0 + j) * to.right] = tile[j][i];
    }
    __syncthreads();
  }
}

/// NaN wins.
__device__ double larger(double a, double b) { return a > b || a != a ? a : b; }

__device__ void merge(Moments& into, const Moments& other) {
  into.squares += other.squares;
  into.largest = larger(into.largest, other.largest);
}

template <class T>
__device__ void take(Moments& into, T x, const double* scale) {
  const double value = static_cast<double>(x), scaled = scale == nullptr ? value : value / *scale;
  into.squares += scaled * scaled;
  into.largest = larger(into.largest, fabs(value));
}

/// A block for a part of one column whose entries are contiguous.
template <class T>
__global__ void moments_down(Strided<const T> X, const double* scales, std::int64_t parts, Moments* out) {
  __shared__ Moments of[threads];
  for (std::int64_t b = blockIdx.x; b < X.cols * parts; b += gridDim.x) {
    const std::int64_t j = b % X.cols, part = b / X.cols;
    const std::int64_t first = part * X.rows / parts, last = (part + 1) * X.rows / parts;
    Moments mine{0, 0};
    const double* const by = scales == nullptr ? nullptr : scales + j;
    for (std::int64_t i = first + threadIdx.x; i < last; i += threads) take(mine, X.data[i * X.down + j * X.right], by);
    of[threadIdx.x] = mine;
    for (int half = threads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) merge(of[threadIdx.x], of[threadIdx.x + half]);
    }
    if (threadIdx.x == 0) out[part * X.cols + j] = of[0];
    __syncthreads();
  }
}

/// A block for a part of 32 columns whose rows are contiguous; threads (32, 8).
template <class T>
__global__ void moments_across(Strided<const T> X, const double* scales, std::int64_t parts, Moments* out) {
  __shared__ Moments of[threads / warp][warp];
  const std::int64_t groups = (X.cols + warp - 1) / warp;
  for (std::int64_t b = blockIdx.x; b < groups * parts; b += gridDim.x) {
    const std::int64_t j = b % groups * warp + threadIdx.x, part = b / groups;
    const std::int64_t first = part * X.rows / parts, last = (part + 1) * X.rows / parts;
    Moments mine{0, 0};
    if (j < X.cols) {
      const double* const by = scales == nullptr ? nullptr : scales + j;
      for (std::int64_t i = first + threadIdx.y; i < last; i += threads / warp)
        take(mine, X.data[i * X.down + j * X.right], by);
    }
    of[threadIdx.y][threadIdx.x] = mine;
    __syncthreads();
    if (threadIdx.y == 0 && j < X.cols) {
      for (int k = 1; k < threads / warp; ++k) merge(mine, of[k][threadIdx.x]);
      out[part * X.cols + j] = mine;
    }
    __syncthreads();
  }
}

struct Candidate {
  double magnitude, value;
  std::int64_t row;
};

/// The larger, the first of equals. A magnitude of -1 belongs to a NaN, which nothing prefers.
__device__ const Candidate& better(const Candidate& a, const Candidate& b) {
  if (a.magnitude != b.magnitude) return a.magnitude > b.magnitude ? a : b;
  return a.row <= b.row ? a : b;
}

/// A block for each column.
template <class T>
__global__ void find_largest(Strided<const T> X, Largest* out) {
  __shared__ Candidate of[threads];
  for (std::int64_t j = blockIdx.x; j < X.cols; j += gridDim.x) {
    const T* x = X.data + j * X.right;
    Candidate best{-2, 0, X.rows};
    for (std::int64_t i = threadIdx.x; i < X.rows; i += threads) {
      const double value = static_cast<double>(x[i * X.down]), size = fabs(value);
      best = better(best, {size == size ? size : -1, value, i});
    }
    of[threadIdx.x] = best;
    for (int half = threads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) of[threadIdx.x] = better(of[threadIdx.x], of[threadIdx.x + half]);
    }
    if (threadIdx.x == 0) {
      // As on the host, where nothing compares as greater than a NaN that comes first.
      const double first = static_cast<double>(*x);
      out[j] = first == first ? Largest{of[0].value, of[0].row} : Largest{first, 0};
    }
    __syncthreads();
  }
}

}  // namespace

template <class T>
cudaError_t fill(Strided<T> X, T value, cudaStream_t stream) {
  return for_entries(X.rows, X.cols, stream, Fill<T>{X, value});
}

template <class From, class To>
cudaError_t copy(Strided<const From> from, Strided<To> to, cudaStream_t stream) {
  if (from.rows == 0 || from.cols == 0) return cudaSuccess;
  const std::int64_t tiles = ((from.rows + warp - 1) / warp) * ((from.cols + warp - 1) / warp);
  copy_tiles<From, To><<<blocks_for(tiles, 1), dim3(warp, threads / warp), 0, stream>>>(from, to, to.right == 1);
  return cudaGetLastError();
}

template <class T>
cudaError_t add(T alpha, Strided<const T> X, Strided<T> Y, cudaStream_t stream) {
  return for_entries(Y.rows, Y.cols, stream, Add<T>{alpha, X, Y});
}

template <class T>
cudaError_t scale(Strided<T> X, const double* by, bool of_rows, cudaStream_t stream) {
  return for_entries(X.rows, X.cols, stream, Scale<T>{X, by, of_rows});
}

template <class T>
cudaError_t column_moments(Strided<const T> X, const double* scales, std::int64_t parts, Moments* out,
                           cudaStream_t stream) {
  if (X.cols == 0) return cudaSuccess;
  if (X.down == 1)
    moments_down<T><<<blocks_for(X.cols * parts, 1), threads, 0, stream>>>(X, scales, parts, out);
  else
    moments_across<T><<<blocks_for((X.cols + warp - 1) / warp * parts, 1), dim3(warp, threads / warp), 0, stream>>>(
        X, scales, parts, out);
  return cudaGetLastError();
}

template <class T>
cudaError_t first_nonfinite(Strided<const T> X, unsigned long long* first, cudaStream_t stream) {
  return for_entries(X.rows, X.cols, stream, FindNonfinite<T>{X, first});
}

template <class T>
cudaError_t largest_in_columns(Strided<const T> X, Largest* out, cudaStream_t stream) {
  if (X.cols == 0) return cudaSuccess;
  find_largest<T><<<blocks_for(X.cols, 1), threads, 0, stream>>>(X, out);
  return cudaGetLastError();
}

template <class T>
cudaError_t fill_normal(Strided<T> X, std::uint64_t seed, std::uint64_t stream_number, std::uint64_t first_row,
                        cudaStream_t stream) {
  return for_entries(X.rows, (X.cols + 1) / 2, stream, Normals<T>{X, Philox(seed, stream_number), first_row});
}

#define LOWRANK_INSTANTIATE(T)                                                                                   \
  template cudaError_t fill<T>(Strided<T>, T, cudaStream_t);                                                     \
  template cudaError_t copy<T, T>(Strided<const T>, Strided<T>, cudaStream_t);                                   \
  template cudaError_t add<T>(T, Strided<const T>, Strided<T>, cudaStream_t);                                    \
  template cudaError_t scale<T>(Strided<T>, const double*, bool, cudaStream_t);                                  \
  template cudaError_t column_moments<T>(Strided<const T>, const double*, std::int64_t, Moments*, cudaStream_t); \
  template cudaError_t first_nonfinite<T>(Strided<const T>, unsigned long long*, cudaStream_t);                  \
  template cudaError_t largest_in_columns<T>(Strided<const T>, Largest*, cudaStream_t);                          \
  template cudaError_t fill_normal<T>(Strided<T>, std::uint64_t, std::uint64_t, std::uint64_t, cudaStream_t);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE
template cudaError_t copy<float, double>(Strided<const float>, Strided<double>, cudaStream_t);

}  // namespace lowrank::cuda
