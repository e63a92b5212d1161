#pragma once

#include <lowrank/cpu/training_kernels.hpp>

namespace lowrank {

/// The training primitives on the CPU. The kernels of training_kernels.hpp do the work, but for the dense products of
/// large batches: the way forward through W by rows and the gradient of W, which go through BLAS.
///
/// Measured on 2 cores of an AMD EPYC with AVX-512 (family 26), shared with other work, OpenBLAS's SkylakeX kernels,
/// 784-1000-2000-10 in float, samples/s. A full step with the gradient of W by kernels and by BLAS: 9493 and 9173 at
/// batch 64, 9124 and 10158 at 96, 10345 and 11337 at 128, 9547 and 12467 at 256. LoRA of rank 1 with dX by kernels and
/// by BLAS: 31453 and 24949 at 1024, 29314 and 24011 at 4096. The way forward by kernels and by BLAS differs by less
/// than the noise from 192 to 4096. With OpenBLAS's Haswell kernels instead, the kernels win at every batch but for the
/// gradient of W above 256.
template <Real T>
class HostTraining final : public TrainingPrimitives<T> {
 public:
  /// Whether a product that gives W [out, in], or has it by rows, goes through BLAS above `small` samples. Few rows, as
  /// an adapter has, stay with the kernels: a strip holds them all.
  static constexpr bool by_blas(Index batch, Index out, Index small = small_batch) {
    return batch > small && out >= kernels::most_updated_rows;
  }
  static constexpr Index small_batch = 64, small_forward = 128;

  void advance(TrainingClock* clock, Index batch) const override;
  void gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock, MatrixView<T> X,
              std::int32_t* labels) const override;
  void linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                      MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) const override;
  bool gains_by_columns(Index batch, Index out) const override;
  bool gains_by_waiting(Index batch) const override { return batch <= small_batch; }
  void owing_forward(MatrixView<const T> X, const Owing<T>& owing, const Optimizer& optimizer,
                     const TrainingClock* clock, MatrixView<const T> b, Activation f, MatrixView<T> Y) const override;
  void catch_up(const Owing<T>& owing, const Optimizer& optimizer, const TrainingClock* clock) const override;
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
