#pragma once

#include <functional>
#include <lowrank/core/types.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lowrank {

template <Real T>
class Primitives;
template <Real T>
class TrainingPrimitives;

/// `count` runs of `bytes` each, which begin `host_stride` bytes apart on the host and `device_stride` on the device.
struct Runs {
  Index bytes, count = 1;
  Index host_stride = 0, device_stride = 0;
};

/// Work that was recorded once and is done again by each run().
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void run() = 0;
};

/// Where matrices live and where the work on them is done. An algorithm never asks which device it is
/// given: it calls the functions of primitives.hpp, and the device of their arguments does the work.
/// Only the host device's memory can be read and written through pointers; what a function takes or returns
/// as a number, a std::vector or a k×k matrix in double is on the host.
///
/// Work on a device may still be under way when the call that began it returns. Calls take effect in their order, and
/// those that give something to the host (download, norms, Gram matrices) wait for it; a fault may surface there.
class Device {
 public:
  virtual ~Device() = default;

  /// "cpu", "cuda" or "cuda:N" (a GPU, counted from 0), "auto" (the first GPU that can be used, else the CPU).
  /// Throws std::invalid_argument for another name; Error when there is no such device or it cannot be used, saying
  /// why. Nothing of a GPU is touched before it is asked for.
  static Device& open(std::string_view name);

  /// As open() takes it.
  virtual std::string name() const = 0;

  /// Memory for `bytes`, aligned to 64; nullptr for none. Throws Error saying how much was wanted and how much there
  /// is. It goes back when the last pointer to it does, after the work that uses it.
  virtual std::shared_ptr<void> allocate(Index bytes) = 0;

  /// Bytes that allocate() can still give.
  virtual Index available_memory() const = 0;

  /// Copies from and to the host. The host's memory may be used again when the call returns. `bytes` and `count` may be
  /// zero.
  virtual void upload(const void* host, void* device, const Runs& runs) = 0;
  virtual void download(const void* device, void* host, const Runs& runs) = 0;

  /// Waits until all work given to the device is done. Throws Error when some of it failed.
  virtual void synchronize() = 0;

  /// What `work` does with this device, as something to be repeated. `work` calls primitives that give nothing to the
  /// host and allocate nothing, always with the same arguments: what differs from run to run is in the device's memory.
  /// A device may call it now, without effect on the memory, and never again, or at each run(). It must have been done
  /// once before, so that what a device prepares at the first use is there.
  virtual std::unique_ptr<Recording> record(std::function<void()> work);

  template <Real T>
  const Primitives<T>& primitives() const {
    if constexpr (std::is_same_v<T, float>)
      return primitives_f32();
    else
      return primitives_f64();
  }

  /// See training.hpp.
  template <Real T>
  const TrainingPrimitives<T>& training() const {
    if constexpr (std::is_same_v<T, float>)
      return training_f32();
    else
      return training_f64();
  }

 protected:
  virtual const Primitives<float>& primitives_f32() const = 0;
  virtual const Primitives<double>& primitives_f64() const = 0;
  virtual const TrainingPrimitives<float>& training_f32() const = 0;
  virtual const TrainingPrimitives<double>& training_f64() const = 0;
};

/// The CPU: OpenBLAS and LAPACKE.
Device& host_device();

struct DeviceInfo {
  std::string name{};               ///< as Device::open takes it
  std::string model{};              ///< the maker's name for it
  Index memory = 0, available = 0;  ///< bytes, all and free; 0 where unknown
  std::string unusable{};           ///< why it cannot be used; empty where it can
  std::string libraries{};          ///< that work there, with what kernels: "OpenBLAS 0.3.21 for SkylakeX"
};

/// The CPU, then the GPUs; where no GPU can be used, one line of the list says why.
std::vector<DeviceInfo> list_devices();

/// How many threads the host device uses for work that the calling thread begins, at first every core the process may
/// run on, which is what `count` < 1 asks for. Threads of a program that compute at the same time do best with one
/// each: OpenBLAS lets one call of several threads in at a time, and the others spin. Different numbers above one are
/// not allowed: such calls of OpenBLAS (0.3.21) take each other's memory away.
void set_threads(int count);
int threads();

/// As many threads as given while it lives, then as many as before.
class ScopedThreads {
 public:
  explicit ScopedThreads(int count);
  ~ScopedThreads();
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;

  int before() const { return before_; }

 private:
  int before_;
};

/// Bytes of memory that the host can still give (what the system calls available, or less inside a
/// memory-limited group).
Index available_memory();

/// Throws Error when `bytes` are not available: for work whose parts would each still fit. `what` needs them.
void require_memory(double bytes, const std::string& what, Device& device = host_device());

}  // namespace lowrank
