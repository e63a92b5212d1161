#include <omp.h>

#include <algorithm>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/flush_subnormals.hpp>
#include <lowrank/cpu/training_blas.hpp>

namespace lowrank {
namespace {

constexpr Index tile_rows = 256, tile_cols = kTrainingTile / tile_rows;

/// task(i, j, rows, cols) for each tile of an m×n matrix.
template <class Task>
void for_tiles(Index m, Index n, int thread_count, const Task& task) {
#pragma omp parallel for schedule(dynamic, 1) collapse(2) num_threads(thread_count)
  for (Index i = 0; i < m; i += tile_rows)
    for (Index j = 0; j < n; j += tile_cols) {
      const FlushSubnormals flush;
      task(i, j, std::min(tile_rows, m - i), std::min(tile_cols, n - j));
    }
}

/// C = alpha·A·B + beta·C for row-major C and A or B of either order.
template <Real T>
void gemm(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) {
  const auto flag = [](const MatrixView<const T>& X) {
    return X.order() == Order::row_major ? CblasNoTrans : CblasTrans;
  };
  blas::gemm(CblasRowMajor, flag(A), flag(B), blas_int(C.rows()), blas_int(C.cols()), blas_int(A.cols()), alpha,
             A.data(), blas_int(A.ld()), B.data(), blas_int(B.ld()), beta, C.data(), blas_int(C.ld()));
}

}  // namespace

template <Real T>
void forward_by_blas(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                     MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) {
  const ScopedThreads single(1);
  for_tiles(Y.rows(), Y.cols(), single.before(), [&](Index i, Index j, Index rows, Index cols) {
    const MatrixView<T> part = Y.block(i, j, rows, cols);
    gemm<T>(alpha, X.middle_rows(i, rows), W.middle_rows(j, cols).transposed(), T(0), part);
    if (!H.empty()) gemm<T>(T(1), H.middle_rows(i, rows), B.middle_cols(j, cols), T(1), part);
    for (Index r = 0; r < rows; ++r) {
      T* y = part.data() + r * part.ld();
      if (!b.empty())
        for (Index c = 0; c < cols; ++c) y[c] += b.data()[j + c];
      if (f == Activation::relu)
        for (Index c = 0; c < cols; ++c) y[c] = y[c] < T(0) ? T(0) : y[c];
    }
  });
}

template <Real T>
void update_by_blas(const Following<T>& work, const kernels::Rule<T>& rule, std::span<T> scratch) {
  const ScopedThreads single(1);
  const Trained<T>& W = work.parameters;
  const int fitting = static_cast<int>(static_cast<Index>(scratch.size()) / (tile_rows * tile_cols));
  for_tiles(W.value.rows(), W.value.cols(), std::min(single.before(), fitting),
            [&](Index i, Index j, Index rows, Index cols) {
              const MatrixView<T> G(scratch.data() + omp_get_thread_num() * tile_rows * tile_cols, rows, cols,
                                    tile_cols, Order::row_major);
              gemm<T>(T(1), work.L.middle_cols(i, rows).transposed(), work.R.middle_cols(j, cols), T(0), G);
              for (Index r = 0; r < rows; ++r) {
                const Index at = (i + r) * W.value.ld() + j;
                kernels::follow<T>(G.data() + r * tile_cols, cols, W.value.data() + at, W.m.data() + at,
                                   W.v.data() + at, rule);
              }
            });
}

#define LOWRANK_INSTANTIATE(T)                                                                           \
  template void forward_by_blas<T>(T, MatrixView<const T>, MatrixView<const T>, MatrixView<const T>,     \
                                   MatrixView<const T>, MatrixView<const T>, Activation, MatrixView<T>); \
  template void update_by_blas<T>(const Following<T>&, const kernels::Rule<T>&, std::span<T>);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
