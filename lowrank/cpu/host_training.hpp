#pragma once

#include <lowrank/cpu/training_kernels.hpp>

namespace lowrank {

/// The training primitives on the CPU. For batches up to `small_batch` the kernels of training_kernels.hpp do the work
/// and the results do not depend on the number of threads; larger ones go through BLAS (see bench/README.md for the
/// measured crossover).
template <Real T>
class HostTraining final : public TrainingPrimitives<T> {
 public:
  static constexpr Index small_batch = kernels::most_samples;

  void advance(TrainingClock* clock, Index batch) const override;
  void gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock, MatrixView<T> X,
              std::int32_t* labels) const override;
  void linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                      MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) const override;
  bool gains_by_columns(Index batch, Index out) const override;
  Index scratch_size(Index batch, Index out, Index in) const override;
  void linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer, const TrainingClock* clock,
                       std::span<T> scratch) const override;
  void update(MatrixView<const T> L, MatrixView<const T> R, const Trained<T>& parameters, const Optimizer& optimizer,
              const TrainingClock* clock, std::span<T> scratch) const override;
  void softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, MatrixView<T> gradient, T* losses,
                             Index capacity, const TrainingClock* clock) const override;
  void count_wrong(MatrixView<const T> logits, const std::int32_t* labels, std::int64_t* wrong) const override;
};

}  // namespace lowrank
