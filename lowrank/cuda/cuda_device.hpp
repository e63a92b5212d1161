#pragma once

#include <lowrank/core/device.hpp>
#include <lowrank/cuda/context.hpp>
#include <lowrank/cuda/cuda_primitives.hpp>
#include <lowrank/cuda/cuda_training.hpp>

namespace lowrank::cuda {

/// One GPU. Lives as long as the process: memory that others hold goes back through it.
class CudaDevice final : public Device {
 public:
  /// Throws Error when the GPU cannot be used.
  explicit CudaDevice(int index);

  Context& context() const { return context_; }

  std::string name() const override { return context_.name(); }
  std::shared_ptr<void> allocate(Index bytes) override;
  Index available_memory() const override;
  void upload(const void* host, void* device, const Runs& runs) override;
  void download(const void* device, void* host, const Runs& runs) override;
  void synchronize() override;
  /// Captured as a CUDA graph.
  std::unique_ptr<Recording> record(std::function<void()> work) override;

 protected:
  const Primitives<float>& primitives_f32() const override { return f32_; }
  const Primitives<double>& primitives_f64() const override { return f64_; }
  const TrainingPrimitives<float>& training_f32() const override { return training_f32_; }
  const TrainingPrimitives<double>& training_f64() const override { return training_f64_; }

 private:
  mutable Context context_;
  CudaPrimitives<float> f32_;
  CudaPrimitives<double> f64_;
  CudaTraining<float> training_f32_;
  CudaTraining<double> training_f64_;
};

}  // namespace lowrank::cuda
