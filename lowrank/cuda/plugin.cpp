#include <fmt/core.h>

#include <lowrank/core/device_plugin.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/core/version.hpp>
#include <lowrank/cuda/cuda_device.hpp>
#include <map>
#include <mutex>

// What the library hands to Device::open and list_devices.

namespace lowrank::cuda {
namespace {

Index count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  if (status == cudaErrorNoDevice) return 0;
  int driver = 0;
  if (status == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess) {
    if (driver == 0) throw Error("there is no NVIDIA driver");
    throw Error(fmt::format("the NVIDIA driver is too old: it is for CUDA {}.{}, the GPU library for {}.{}",
                            driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10));
  }
  throw Error(fmt::format("the CUDA devices cannot be counted: {}", cuda::describe(status)));
}

/// Why the device cannot be used; empty where it can.
std::string reason_against(int index, const cudaDeviceProp& properties, DeviceInfo& info) {
  if (properties.major < 8)
    return fmt::format("its compute capability is {}.{}, and 8.0 is needed", properties.major, properties.minor);
  int pools = 0;
  cudaError_t status = cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, index);
  if (status != cudaSuccess) return cuda::describe(status);
  if (pools == 0) return "it has no memory pools (cudaMallocAsync)";
  const OnDevice here(index);
  status = here.status();
  std::size_t free = 0, total = 0;
  if (status == cudaSuccess) status = cudaMemGetInfo(&free, &total);
  if (status != cudaSuccess) return cuda::describe(status);
  info.available = static_cast<Index>(free);
  return {};
}

DeviceInfo describe(Index index) {
  DeviceInfo info{.name = fmt::format("cuda:{}", index)};
  info.libraries = fmt::format("CUDA {}.{}", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, static_cast<int>(index));
  if (status == cudaSuccess) {
    info.model = properties.name;
    info.memory = static_cast<Index>(properties.totalGlobalMem);
    info.unusable = reason_against(static_cast<int>(index), properties, info);
  } else {
    info.unusable = cuda::describe(status);
  }
  static_cast<void>(cudaGetLastError());
  return info;
}

Device& open(Index index) {
  // Never destroyed: matrices may outlive every static object, and the driver ends before those do.
  static auto& opened = *new std::map<Index, CudaDevice*>;
  static auto& busy = *new std::mutex;
  const std::scoped_lock lock(busy);
  CudaDevice*& device = opened[index];
  if (device == nullptr) device = new CudaDevice(static_cast<int>(index));
  return *device;
}

constexpr DevicePlugin plugin{device_abi, version, count, describe, open};

}  // namespace
}  // namespace lowrank::cuda

extern "C" __attribute__((visibility("default"))) const lowrank::DevicePlugin* lowrank_device_plugin() {
  return &lowrank::cuda::plugin;
}
