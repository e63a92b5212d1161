#pragma once

#include <lowrank/core/training.hpp>
#include <lowrank/cuda/context.hpp>
#include <lowrank/cuda/training_kernels.hpp>

namespace lowrank::cuda {

class CudaDevice;

/// The training primitives on a GPU. No call waits for the GPU or allocates, so that steps can be recorded as a graph.
/// Small batches go through the kernels of training_kernels.hpp, larger ones through cuBLAS.
template <Real T>
class CudaTraining final : public TrainingPrimitives<T> {
 public:
  explicit CudaTraining(CudaDevice& device) : device_(device) {}

  void advance(TrainingClock* clock, Index batch) const override;
  void gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock, MatrixView<T> X,
              std::int32_t* labels) const override;
  void linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                      MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) const override;
  Index scratch_size(Index batch, Index out, Index in) const override;
  void linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer, const TrainingClock* clock,
                       std::span<T> scratch) const override;
  void update(MatrixView<const T> L, MatrixView<const T> R, const Trained<T>& parameters, const Optimizer& optimizer,
              const TrainingClock* clock, std::span<T> scratch) const override;
  void softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, MatrixView<T> gradient, T* losses,
                             Index capacity, const TrainingClock* clock) const override;
  void count_wrong(MatrixView<const T> logits, const std::int32_t* labels, std::int64_t* wrong) const override;

 private:
  Context& context() const;
  void input_gradient(const LinearBackward<T>& layer, std::span<T> scratch) const;
  void follow(const LinearBackward<T>& layer, const Optimizer& optimizer, const TrainingClock* clock,
              std::span<T> scratch) const;

  CudaDevice& device_;
};

}  // namespace lowrank::cuda
