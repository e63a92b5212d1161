#include <cblas.h>
#include <fmt/core.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <lowrank/core/device.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/core/sanitizers.hpp>
#include <lowrank/cpu/block_cache.hpp>
#include <lowrank/cpu/host_primitives.hpp>
#include <lowrank/cpu/host_training.hpp>
#include <new>

namespace lowrank {
namespace {

Index read_number(const char* path, Index otherwise) {
  std::ifstream in(path);
  Index value = 0;
  return in >> value ? value : otherwise;
}

Index system_available() {
  std::ifstream in("/proc/meminfo");
  for (std::string key; in >> key;) {
    Index kib = 0;
    if (key == "MemAvailable:" && in >> kib) return kib * 1024;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

/// What the process holds beyond its matrices. None for the address sanitizer, which should see each end of use.
#if defined(LOWRANK_ADDRESS_SANITIZER)
constexpr std::size_t kept_blocks = 0;
#else
constexpr std::size_t kept_blocks = std::size_t{64} << 20;
#endif

class HostDevice final : public Device {
 public:
  std::string name() const override { return "cpu"; }

  std::shared_ptr<void> allocate(Index bytes) override {
    if (bytes <= 0) return nullptr;
    // Asking the system costs microseconds: only where the answer can matter.
    constexpr Index large = Index{32} << 20;
    if (bytes >= large && bytes > lowrank::available_memory()) refuse(bytes);
    std::shared_ptr<void> memory = blocks().allocate(static_cast<std::size_t>(bytes));
    if (memory == nullptr) refuse(bytes);
    return memory;
  }

  Index available_memory() const override { return lowrank::available_memory(); }
  void upload(const void* host, void* device, const Runs& runs) override {
    copy_runs(host, runs.host_stride, device, runs.device_stride, runs);
  }
  void download(const void* device, void* host, const Runs& runs) override {
    copy_runs(device, runs.device_stride, host, runs.host_stride, runs);
  }
  void synchronize() override {}

 protected:
  const Primitives<float>& primitives_f32() const override { return f32_; }
  const Primitives<double>& primitives_f64() const override { return f64_; }
  const TrainingPrimitives<float>& training_f32() const override { return training_f32_; }
  const TrainingPrimitives<double>& training_f64() const override { return training_f64_; }

 private:
  /// Never destroyed: matrices that live as long as the program may be given back after it.
  static BlockCache& blocks() {
    static auto* cache = new BlockCache(kept_blocks);
    return *cache;
  }

  static void copy_runs(const void* from, Index from_stride, void* to, Index to_stride, const Runs& runs) {
    if (runs.bytes <= 0) return;
    for (Index i = 0; i < runs.count; ++i)
      std::memcpy(static_cast<char*>(to) + i * to_stride, static_cast<const char*>(from) + i * from_stride,
                  static_cast<std::size_t>(runs.bytes));
  }

  [[noreturn]] static void refuse(Index bytes) {
    constexpr double gib = 1024.0 * 1024.0 * 1024.0;
    throw Error(fmt::format("{:.2f} GiB of memory are needed for a matrix and {:.2f} GiB are available",
                            static_cast<double>(bytes) / gib, static_cast<double>(lowrank::available_memory()) / gib));
  }

  HostPrimitives<float> f32_;
  HostPrimitives<double> f64_;
  HostTraining<float> training_f32_;
  HostTraining<double> training_f64_;
};

}  // namespace

Device& host_device() {
  static HostDevice device;
  return device;
}

Index available_memory() {
  constexpr Index unlimited = std::numeric_limits<Index>::max();
  const Index limit = read_number("/sys/fs/cgroup/memory.max", unlimited);
  const Index used = limit == unlimited ? 0 : read_number("/sys/fs/cgroup/memory.current", 0);
  return std::min(system_available(), std::max<Index>(0, limit - used));
}

void require_memory(double bytes, const std::string& what, Device& device) {
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  const double available = static_cast<double>(device.available_memory());
  if (bytes <= available) return;
  const bool here = &device == &host_device();
  throw Error(fmt::format("{} needs about {:.1f} GiB of memory and {:.1f} GiB are available{}", what, bytes / gib,
                          available / gib,
                          here ? ""
                               : fmt::format(" on {} (and {:.1f} GiB on the cpu)", device.name(),
                                             static_cast<double>(available_memory()) / gib)));
}

namespace {

/// OpenBLAS with OpenMP asks at each call what OpenMP would use for its caller. Told a number, it takes away the memory
/// that calls by other threads are working with.
void use_threads(int count) {
  omp_set_num_threads(count);
  if (openblas_get_parallel() != OPENBLAS_OPENMP) openblas_set_num_threads(count);
}

}  // namespace

void set_threads(int count) { use_threads(count < 1 ? omp_get_num_procs() : count); }

int threads() { return omp_get_max_threads(); }

ScopedThreads::ScopedThreads(int count) : before_(threads()) {
  if (count != before_) use_threads(count);
}

ScopedThreads::~ScopedThreads() {
  if (threads() != before_) use_threads(before_);
}

}  // namespace lowrank
