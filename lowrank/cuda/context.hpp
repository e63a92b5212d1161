#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>

#include <lowrank/core/types.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>

namespace lowrank::cuda {

/// A GPU is the thread's own while this lives; then the one from before is again. Where that fails (CUDA wants to use
/// that one, and another process may hold it for itself) the thread keeps this one, and no error is left behind.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  cudaError_t status() const { return status_; }

 private:
  int before_, here_;
  cudaError_t status_ = cudaSuccess;
};

/// What belongs to one GPU: a stream on which all work runs in order, the handles of cuBLAS and cuSOLVER, and a pool of
/// memory. Every use goes through run(), which lets one thread in at a time and turns what went wrong into Error. A
/// fault that the GPU does not recover from is reported once with its cause; from then on run() refuses.
///
/// LOWRANK_CUDA_SYNC=1 in the environment waits after each call, so that a fault is reported by the call that caused
/// it.
class Context {
 public:
  explicit Context(int device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const std::string& name() const { return name_; }

  /// Calls `work` with this GPU as the thread's own, and returns what it returns. Calls may be nested.
  template <class Work>
  auto run(const char* what, const Work& work) {
    const Entered entered(*this);
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      finish(what);
    } else {
      auto result = work();
      finish(what);
      return result;
    }
  }

  // For the work inside run().

  cudaStream_t stream() const { return stream_.get(); }
  cublasHandle_t blas() const { return blas_.get(); }
  /// Made at its first use.
  cusolverDnHandle_t solver();
  cusolverDnParams_t solver_parameters() const { return parameters_.get(); }

  /// Throws Error naming `call` and the cause.
  void check(cudaError_t status, const char* call) const;
  void check(cublasStatus_t status, const char* call) const;
  void check(cusolverStatus_t status, const char* call) const;

  /// Memory in the order of the stream: it may be given back while work that uses it is under way. Throws Error saying
  /// how much was wanted and how much is free.
  std::shared_ptr<void> allocate(Index bytes);
  Index available_memory() const;
  void synchronize() const;

  /// The work between the two is recorded, not done.
  void begin_capture();
  /// nullptr where the work between could not be recorded.
  cudaGraph_t end_capture();

 private:
  /// One thread at a time, on this GPU.
  class Entered {
   public:
    explicit Entered(Context& context);

   private:
    std::scoped_lock<std::recursive_mutex> lock_;
    OnDevice here_;
  };

  void finish(const char* what) const;
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void refuse(Index bytes) const;
  void release(void* memory) noexcept;

  template <class Handle>
  using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, void (*)(Handle)>;

  int device_;
  std::string name_;
  bool wait_always_ = false, capturing_ = false;
  mutable std::string lost_;  // what the fault was that made the context useless
  mutable std::recursive_mutex busy_;
  // Destroyed from the last to the first.
  Owned<cudaStream_t> stream_;
  Owned<cudaMemPool_t> pool_;
  std::shared_ptr<void> blas_workspace_;
  Owned<cublasHandle_t> blas_;
  Owned<cusolverDnHandle_t> solver_;
  Owned<cusolverDnParams_t> parameters_;
};

/// What is wrong, in words, for functions that have no context.
std::string describe(cudaError_t status);

}  // namespace lowrank::cuda
