#pragma once

#include <lowrank/core/training.hpp>
#include <lowrank/cpu/training_kernels.hpp>
#include <utility>

/// The dense products of large batches. They go through BLAS tile by tile, each by one thread with OpenBLAS set to one:
/// threads of two pools would fight for the cores, and the bits would depend on their number.

namespace lowrank {

/// Parameters by rows that follow Lᵀ·R: W follows dYᵀ·X; where it lies by columns, Wᵀ follows Xᵀ·dY.
template <Real T>
struct Following {
  MatrixView<const T> L, R;
  Trained<T> parameters;

  explicit Following(const LinearBackward<T>& layer) : L(layer.dY), R(layer.X), parameters(layer.weight) {
    if (layer.weight.value.order() == Order::row_major) return;
    std::swap(L, R);
    for (MatrixView<T>* each : {&parameters.value, &parameters.m, &parameters.v}) *each = each->transposed();
  }
};

/// As TrainingPrimitives::linear_forward, for W by rows.
template <Real T>
void forward_by_blas(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                     MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y);

/// Entries of a tile; update_by_blas uses as many threads as `scratch` holds tiles.
inline constexpr Index kTrainingTile = 256 * 1024;

/// The gradient is formed tile by tile in `scratch`: the optimizer reads it while it is in the thread's cache.
template <Real T>
void update_by_blas(const Following<T>& work, const kernels::Rule<T>& rule, std::span<T> scratch);

}  // namespace lowrank
