#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/// Kernels of training, on row-major matrices with their leading dimensions. All begin work on a stream and return what
/// the launch returned. This header is read by nvcc as well.

namespace lowrank::cuda {

/// Where the clock of training.hpp stands, in the GPU's memory.
struct Clock {
  std::int64_t step, next;
};

/// A row-major matrix; data is nullptr where there is none.
template <class T>
struct Rows {
  T* data;
  std::int64_t ld;
};

/// Parameters with Adam's moments, which have their shape.
template <class T>
struct Following {
  Rows<T> p, m, v;
};

struct OptimizerRule {
  bool adam;
  double lr, beta1, beta2, epsilon;
};

/// Batches up to this one are multiplied by kernels of our own, where a product is bound by reading W: cuBLAS would
/// need a kernel more for bias, activation and mask. Beyond it a sample costs more than the reading.
constexpr std::int64_t skinny_batch = 32;
/// Up to this batch the gradient of the weights exists in registers only.
constexpr std::int64_t fused_batch = 128;
/// The most parts into which the rows of W are cut for dX.
constexpr std::int64_t most_parts = 16;

template <class T>
struct ForwardWork {
  std::int64_t batch, in, out, rank;
  T alpha;
  Rows<const T> X, W;
  const T* bias;
  std::int64_t bias_step;
  Rows<const T> H, B;
  bool relu;
  Rows<T> Y;
};

/// Y = f(alpha·X·Wᵀ + b + H·B).
template <class T>
cudaError_t forward(const ForwardWork<T>& work, cudaStream_t stream);
/// Y = f(Y + b), entry by entry.
template <class T>
cudaError_t finish_forward(const ForwardWork<T>& work, cudaStream_t stream);

template <class T>
struct InputGradient {
  std::int64_t batch, in, out, rank;
  Rows<const T> dY, W, dH, A;
  Rows<const T> mask;  ///< dX is zero where it is not positive; none: data is nullptr
  Rows<T> dX;
};

/// Into how many parts the rows are cut; each needs batch·in numbers of scratch when there are more than one.
std::int64_t input_gradient_parts(std::int64_t batch, std::int64_t out, std::int64_t in);
/// dX = (dY·W + dH·A) ∘ mask.
template <class T>
cudaError_t input_gradient(const InputGradient<T>& work, std::int64_t parts, T* scratch, cudaStream_t stream);
template <class T>
cudaError_t apply_mask(const InputGradient<T>& work, cudaStream_t stream);

/// Parameters [out, in] follow dYᵀ·X, and biases (where there are any) the column sums of dY: W, m and v are read and
/// written once. batch <= fused_batch.
template <class T>
struct SweepWork {
  std::int64_t batch, out, in;
  Rows<const T> dY, X;
  Following<T> W, b;
};
template <class T>
cudaError_t sweep(const SweepWork<T>& work, const OptimizerRule& rule, const Clock* clock, cudaStream_t stream);

/// Parameters [rows, cols] follow a gradient that lies in memory.
template <class T>
cudaError_t follow(Rows<const T> gradient, std::int64_t rows, std::int64_t cols, const Following<T>& parameters,
                   const OptimizerRule& rule, const Clock* clock, cudaStream_t stream);
/// b [out] follows the column sums of dY [batch, out].
template <class T>
cudaError_t follow_bias(std::int64_t batch, std::int64_t out, Rows<const T> dY, const Following<T>& b,
                        const OptimizerRule& rule, const Clock* clock, cudaStream_t stream);

cudaError_t advance(Clock* clock, std::int64_t batch, cudaStream_t stream);
template <class T>
cudaError_t gather(const std::uint8_t* pixels, const std::uint8_t* labels, std::int64_t features, float mean,
                   float deviation, const std::int32_t* order, const Clock* clock, std::int64_t batch, Rows<T> X,
                   std::int32_t* chosen_labels, cudaStream_t stream);
template <class T>
cudaError_t softmax_cross_entropy(std::int64_t batch, std::int64_t classes, Rows<const T> logits,
                                  const std::int32_t* labels, Rows<T> gradient, T* losses, std::int64_t capacity,
                                  const Clock* clock, cudaStream_t stream);
template <class T>
cudaError_t count_wrong(std::int64_t batch, std::int64_t classes, Rows<const T> logits, const std::int32_t* labels,
                        unsigned long long* wrong, cudaStream_t stream);

}  // namespace lowrank::cuda
