#include <dlfcn.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <lowrank/core/device_plugin.hpp>
#include <lowrank/core/environment.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/core/version.hpp>
#include <mutex>
#include <stdexcept>

// Finding, opening and listing devices. Nothing of a GPU is touched before one is asked for: its libraries take tens of
// milliseconds and hundreds of megabytes.

namespace lowrank {
namespace {

constexpr std::string_view gpu_prefix = "cuda:";

std::string last_loader_error() {
  const char* text = dlerror();
  return text == nullptr ? "no reason was given" : text;
}

void* load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Error(fmt::format("the GPU library cannot be loaded: {}", last_loader_error()));
  return library;
}

/// The folder of the program or library that this code is part of.
std::filesystem::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(info.dli_fname, error);
  return error ? std::filesystem::path() : file.parent_path();
}

/// Beside this library, in a build tree (from the library or from a program), in the lib folder beside a program's, or
/// where the loader looks.
void* find_library() {
  const std::string file = fmt::format("liblowrank-cuda.so.{}", version);
  const std::filesystem::path here = own_folder();
  for (const char* folder : {"", "cuda", "../lowrank/cuda", "../lib"}) {
    const std::filesystem::path path = (here / folder / file).lexically_normal();
    if (!here.empty() && access(path.c_str(), F_OK) == 0) return load(path);
  }
  if (void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(fmt::format("the GPU library {} is not installed (looked for beside {} and where the loader looks: {})",
                          file, here.string(), last_loader_error()));
}

/// LOWRANK_CUDA_LIBRARY names the library; else the driver is asked for first, so that a machine without one answers at
/// once.
void* open_library() {
  const char* given = std::getenv("LOWRANK_CUDA_LIBRARY");
  if (given != nullptr && *given != '\0') return load(given);
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) == nullptr)
    throw Error(fmt::format("there is no NVIDIA driver: {}", last_loader_error()));
  return find_library();
}

const DevicePlugin& checked_plugin(void* library) {
  using Entrance = const DevicePlugin* (*)();
  const auto entrance = reinterpret_cast<Entrance>(dlsym(library, "lowrank_device_plugin"));
  Dl_info info{};
  if (entrance == nullptr) throw Error(fmt::format("this is no GPU library of lowrank: {}", last_loader_error()));
  const DevicePlugin* plugin = entrance();
  dladdr(reinterpret_cast<const void*>(entrance), &info);
  if (plugin->abi != device_abi || std::string_view(plugin->version) != version)
    throw Error(fmt::format(
        "{} is of version {} (interface {}), this program of version {} ({}): the two must be installed together",
        info.dli_fname, plugin->version, plugin->abi, version, device_abi));
  return *plugin;
}

/// Looked for again where it was not found before.
const DevicePlugin& plugin() {
  static std::mutex busy;
  static const DevicePlugin* found = nullptr;
  const std::scoped_lock lock(busy);
  if (found == nullptr) found = &checked_plugin(open_library());
  return *found;
}

std::string count_text(Index count) {
  if (count == 0) return "there is no CUDA device";
  return count == 1 ? "the only one is cuda:0" : fmt::format("there are {}, cuda:0 to cuda:{}", count, count - 1);
}

Device& open_gpu(Index index) {
  const DevicePlugin& gpus = plugin();
  if (const Index count = gpus.count(); index >= count)
    throw Error(fmt::format("there is no device cuda:{}: {}", index, count_text(count)));
  const DeviceInfo info = gpus.describe(index);
  if (!info.unusable.empty())
    throw Error(fmt::format("the device {} ({}) cannot be used: {}", info.name, info.model, info.unusable));
  return gpus.open(index);
}

/// The first that can be used; else what is wrong with each.
Device& open_first_gpu() {
  const DevicePlugin& gpus = plugin();
  const Index count = gpus.count();
  std::vector<std::string> reasons;
  for (Index i = 0; i < count; ++i) {
    const DeviceInfo info = gpus.describe(i);
    if (info.unusable.empty()) return gpus.open(i);
    reasons.push_back(fmt::format("{} ({}): {}", info.name, info.model, info.unusable));
  }
  if (reasons.empty()) throw Error(count_text(0));
  throw Error(fmt::format("no CUDA device can be used: {}", fmt::join(reasons, "; ")));
}

DeviceInfo host_info() {
  DeviceInfo info{.name = "cpu"};
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; info.model.empty() && std::getline(in, line);)
    if (line.starts_with("model name")) info.model = line.substr(std::min(line.size(), line.find(':') + 2));
  info.memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  info.available = available_memory();
  info.libraries = blas_in_use();
  return info;
}

}  // namespace

Device& Device::open(std::string_view name) {
  if (name == "cpu") return host_device();
  if (name == "cuda") return open_first_gpu();
  if (name == "auto") {
    try {
      return open_first_gpu();
    } catch (const Error&) {
      return host_device();
    }
  }
  const std::string_view digits = name.substr(std::min(name.size(), gpu_prefix.size()));
  Index index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (!name.starts_with(gpu_prefix) || error != std::errc() || end != digits.data() + digits.size() || index < 0)
    throw std::invalid_argument(fmt::format("'{}' is no device: cpu, cuda, cuda:N or auto is wanted", name));
  return open_gpu(index);
}

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices{host_info()};
  try {
    const DevicePlugin& gpus = plugin();
    const Index count = gpus.count();
    for (Index i = 0; i < count; ++i) devices.push_back(gpus.describe(i));
    if (count == 0) devices.push_back({.name = "cuda", .unusable = count_text(0)});
  } catch (const Error& error) {
    devices.push_back({.name = "cuda", .unusable = error.what()});
  }
  return devices;
}

}  // namespace lowrank
