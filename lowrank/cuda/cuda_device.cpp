#include <fmt/core.h>

#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/cuda/cuda_device.hpp>
#include <utility>

namespace lowrank::cuda {
namespace {

class Graph final : public Recording {
 public:
  Graph(Context& context, cudaGraphExec_t graph) : context_(context), graph_(graph) {}
  ~Graph() override {
    // A graph may still be running. After a fault there is nothing to wait for.
    try {
      context_.run("giving back a graph", [&] { context_.synchronize(); });
    } catch (const Error&) {
    }
    static_cast<void>(cudaGraphExecDestroy(graph_));
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void run() override {
    context_.run("cudaGraphLaunch",
                 [&] { context_.check(cudaGraphLaunch(graph_, context_.stream()), "cudaGraphLaunch"); });
  }

 private:
  Context& context_;
  cudaGraphExec_t graph_;
};

/// One copy of `runs`, in either direction.
void copy_runs(const Context& context, void* to, Index to_stride, const void* from, Index from_stride, const Runs& runs,
               cudaMemcpyKind kind) {
  // cudaMemcpy2D takes strides of 31 bits.
  constexpr Index most = std::numeric_limits<std::int32_t>::max();
  const auto bytes = static_cast<std::size_t>(runs.bytes), count = static_cast<std::size_t>(runs.count);
  const cudaStream_t stream = context.stream();
  if (runs.count == 1 || (to_stride == runs.bytes && from_stride == runs.bytes)) {
    context.check(cudaMemcpyAsync(to, from, bytes * count, kind, stream), "cudaMemcpyAsync");
  } else if (to_stride <= most && from_stride <= most) {
    context.check(cudaMemcpy2DAsync(to, static_cast<std::size_t>(to_stride), from,
                                    static_cast<std::size_t>(from_stride), bytes, count, kind, stream),
                  "cudaMemcpy2DAsync");
  } else {
    for (Index i = 0; i < runs.count; ++i)
      context.check(cudaMemcpyAsync(static_cast<char*>(to) + i * to_stride,
                                    static_cast<const char*>(from) + i * from_stride, bytes, kind, stream),
                    "cudaMemcpyAsync");
  }
  context.synchronize();
}

}  // namespace

CudaDevice::CudaDevice(int index)
    : context_(index), f32_(*this), f64_(*this), training_f32_(*this), training_f64_(*this) {}

std::shared_ptr<void> CudaDevice::allocate(Index bytes) {
  return context_.run("allocate", [&] { return context_.allocate(bytes); });
}

Index CudaDevice::available_memory() const {
  return context_.run("available_memory", [&] { return context_.available_memory(); });
}

void CudaDevice::upload(const void* host, void* device, const Runs& runs) {
  if (runs.bytes <= 0 || runs.count <= 0) return;
  context_.run("upload", [&] {
    copy_runs(context_, device, runs.device_stride, host, runs.host_stride, runs, cudaMemcpyHostToDevice);
  });
}

void CudaDevice::download(const void* device, void* host, const Runs& runs) {
  if (runs.bytes <= 0 || runs.count <= 0) return;
  context_.run("download", [&] {
    copy_runs(context_, host, runs.host_stride, device, runs.device_stride, runs, cudaMemcpyDeviceToHost);
  });
}

void CudaDevice::synchronize() {
  context_.run("synchronize", [&] { context_.synchronize(); });
}

std::unique_ptr<Recording> CudaDevice::record(std::function<void()> work) {
  return context_.run("record", [&]() -> std::unique_ptr<Recording> {
    context_.begin_capture();
    try {
      work();
    } catch (...) {
      if (const cudaGraph_t unfinished = context_.end_capture()) static_cast<void>(cudaGraphDestroy(unfinished));
      throw;
    }
    const cudaGraph_t graph = context_.end_capture();
    if (graph == nullptr)
      throw Error(fmt::format("{}: the work could not be recorded as a CUDA graph", context_.name()));
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    context_.check(status, "cudaGraphInstantiate");
    return std::make_unique<Graph>(context_, executable);
  });
}

}  // namespace lowrank::cuda
