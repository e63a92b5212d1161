#include <fmt/core.h>

#include <cstdlib>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/cuda/context.hpp>
#include <string_view>

namespace lowrank::cuda {
namespace {

// The deleters have nobody to report to; what they give back is gone with the process at the latest.
void destroy(cudaStream_t stream) { static_cast<void>(cudaStreamDestroy(stream)); }
void destroy(cudaMemPool_t pool) { static_cast<void>(cudaMemPoolDestroy(pool)); }
void destroy(cublasHandle_t handle) { static_cast<void>(cublasDestroy(handle)); }
void destroy(cusolverDnHandle_t handle) { static_cast<void>(cusolverDnDestroy(handle)); }
void destroy(cusolverDnParams_t parameters) { static_cast<void>(cusolverDnDestroyParams(parameters)); }

/// What NVIDIA recommends for Hopper; cuBLAS would else allocate while a graph is recorded.
constexpr Index blas_workspace_bytes = Index{32} << 20;

std::string_view describe(cusolverStatus_t status) {
  switch (status) {
    case CUSOLVER_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUSOLVER_STATUS_ALLOC_FAILED:
      return "out of memory";
    case CUSOLVER_STATUS_INVALID_VALUE:
      return "an argument was refused";
    case CUSOLVER_STATUS_ARCH_MISMATCH:
      return "the GPU is too old";
    case CUSOLVER_STATUS_EXECUTION_FAILED:
      return "the GPU failed to execute";
    case CUSOLVER_STATUS_INTERNAL_ERROR:
      return "internal error";
    case CUSOLVER_STATUS_NOT_SUPPORTED:
      return "not supported";
    default:
      return "unknown error";
  }
}

bool wanted_by_environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

}  // namespace

std::string describe(cudaError_t status) {
  return fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
}

OnDevice::OnDevice(int device) : before_(device), here_(device) {
  status_ = cudaGetDevice(&before_);
  if (status_ == cudaSuccess && before_ != here_) status_ = cudaSetDevice(here_);
  if (status_ != cudaSuccess) static_cast<void>(cudaGetLastError());
}

OnDevice::~OnDevice() {
  if (before_ != here_ && cudaSetDevice(before_) != cudaSuccess) static_cast<void>(cudaGetLastError());
}

Context::Entered::Entered(Context& context) : lock_(context.busy_), here_(context.device_) {
  if (!context.lost_.empty())
    throw Error(
        fmt::format("{} cannot be used any more by this process: it failed before ({})", context.name_, context.lost_));
  context.check(here_.status(), "cudaSetDevice");
}

Context::Context(int device)
    : device_(device),
      name_(fmt::format("cuda:{}", device)),
      wait_always_(wanted_by_environment("LOWRANK_CUDA_SYNC")),
      stream_(nullptr, destroy),
      pool_(nullptr, destroy),
      blas_(nullptr, destroy),
      solver_(nullptr, destroy),
      parameters_(nullptr, destroy) {
  run("making the context", [&] {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    stream_.reset(stream);

    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    cudaMemPool_t pool = nullptr;
    check(cudaMemPoolCreate(&pool, &properties), "cudaMemPoolCreate");
    pool_.reset(pool);
    // What was given back stays in the pool, else each synchronization would return it to the driver.
    std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute");

    cublasHandle_t blas = nullptr;
    check(cublasCreate(&blas), "cublasCreate");
    blas_.reset(blas);
    check(cublasSetStream(blas, stream), "cublasSetStream");
    // After the stream is set: setting it goes back to cuBLAS's own workspace.
    blas_workspace_ = allocate(blas_workspace_bytes);
    check(cublasSetWorkspace(blas, blas_workspace_.get(), static_cast<std::size_t>(blas_workspace_bytes)),
          "cublasSetWorkspace");
    check(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_HOST), "cublasSetPointerMode");
  });
}

Context::~Context() {
  const OnDevice here(device_);
  if (stream_) static_cast<void>(cudaStreamSynchronize(stream_.get()));
  parameters_.reset();
  solver_.reset();
  blas_.reset();
  blas_workspace_.reset();
  pool_.reset();
  stream_.reset();
}

cusolverDnHandle_t Context::solver() {
  if (!solver_) {
    cusolverDnParams_t parameters = nullptr;
    check(cusolverDnCreateParams(&parameters), "cusolverDnCreateParams");
    parameters_.reset(parameters);
    cusolverDnHandle_t solver = nullptr;
    check(cusolverDnCreate(&solver), "cusolverDnCreate");
    Owned<cusolverDnHandle_t> owned(solver, destroy);
    check(cusolverDnSetStream(solver, stream_.get()), "cusolverDnSetStream");
    solver_ = std::move(owned);
  }
  return solver_.get();
}

void Context::check(cudaError_t status, const char* call) const {
  if (status != cudaSuccess) fail(fmt::format("{}: {}", call, describe(status)));
}

void Context::check(cublasStatus_t status, const char* call) const {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(fmt::format("cuBLAS {}: {} ({})", call, cublasGetStatusString(status), static_cast<int>(status)));
}

void Context::check(cusolverStatus_t status, const char* call) const {
  if (status != CUSOLVER_STATUS_SUCCESS)
    fail(fmt::format("cuSOLVER {}: {} ({})", call, describe(status), static_cast<int>(status)));
}

/// An error of one call is forgotten once it is read; a fault of the GPU comes back from every later call.
void Context::fail(const std::string& what) const {
  static_cast<void>(cudaGetLastError());
  if (stream_ && !capturing_ && lost_.empty()) {
    const cudaError_t state = cudaStreamQuery(stream_.get());
    static_cast<void>(cudaGetLastError());  // "Not ready" counts as an error too.
    if (state != cudaSuccess && state != cudaErrorNotReady) lost_ = fmt::format("{}: {}", what, describe(state));
  }
  throw Error(
      fmt::format("{}: {}{}", name_, what, lost_.empty() ? "" : "; the GPU cannot be used any more by this process"));
}

void Context::finish(const char* what) const {
  check(cudaPeekAtLastError(), what);
  if (wait_always_ && !capturing_) check(cudaStreamSynchronize(stream_.get()), what);
}

void Context::synchronize() const {
  check(cudaStreamSynchronize(stream_.get()), "waiting for the work given to the GPU");
}

std::shared_ptr<void> Context::allocate(Index bytes) {
  if (bytes <= 0) return nullptr;
  if (capturing_) throw Error(fmt::format("{}: memory was asked for in work that is being recorded", name_));
  void* memory = nullptr;
  cudaError_t status = cudaMallocFromPoolAsync(&memory, static_cast<std::size_t>(bytes), pool_.get(), stream_.get());
  if (status == cudaErrorMemoryAllocation) {
    // What was given back in other sizes may be in the way.
    static_cast<void>(cudaGetLastError());
    synchronize();
    check(cudaMemPoolTrimTo(pool_.get(), 0), "cudaMemPoolTrimTo");
    status = cudaMallocFromPoolAsync(&memory, static_cast<std::size_t>(bytes), pool_.get(), stream_.get());
  }
  if (status == cudaErrorMemoryAllocation) refuse(bytes);
  check(status, "cudaMallocFromPoolAsync");
  return {memory, [this](void* given_back) { release(given_back); }};
}

void Context::refuse(Index bytes) const {
  static_cast<void>(cudaGetLastError());
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  throw Error(fmt::format(
      "{}: {:.2f} GiB of memory are needed and {:.2f} GiB are free on it; use the CPU, or a matrix on the host or in a "
      "file, which the GPU works on in blocks",
      name_, static_cast<double>(bytes) / gib, static_cast<double>(available_memory()) / gib));
}

/// Called by the last owner of the memory, on whatever thread. On a lost context, or while the process ends, the calls
/// fail and there is nothing to be done.
void Context::release(void* memory) noexcept {
  const std::scoped_lock lock(busy_);
  const OnDevice here(device_);
  if (cudaFreeAsync(memory, stream_.get()) != cudaSuccess) static_cast<void>(cudaGetLastError());
}

Index Context::available_memory() const {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  // The pool holds memory that it can give again.
  std::uint64_t reserved = 0, used = 0;
  check(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrReservedMemCurrent, &reserved), "cudaMemPoolGetAttribute");
  check(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrUsedMemCurrent, &used), "cudaMemPoolGetAttribute");
  return static_cast<Index>(free + (reserved - used));
}

void Context::begin_capture() {
  check(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  capturing_ = true;
}

cudaGraph_t Context::end_capture() {
  cudaGraph_t graph = nullptr;
  capturing_ = false;
  if (cudaStreamEndCapture(stream_.get(), &graph) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  return graph;
}

}  // namespace lowrank::cuda
