#pragma once

#include <lowrank/core/types.hpp>
#include <memory>
#include <string>

namespace lowrank {

template <Real T>
class Primitives;
template <Real T>
class TrainingPrimitives;

/// Where matrices live and where the work on them is done. An algorithm never asks which device it is
/// given: it calls the functions of primitives.hpp, and the device of their arguments does the work.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;

  /// Memory for `bytes`, aligned to 64. Throws Error saying how much was wanted and how much there is.
  virtual std::shared_ptr<void> allocate(Index bytes) = 0;

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

/// How many threads the host device uses. `count` < 1 means every core the process may run on.
void set_threads(int count);
int threads();

/// As many threads as given while it lives, then as many as before.
class ScopedThreads {
 public:
  explicit ScopedThreads(int count);
  ~ScopedThreads();
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;

  int before() const { return loops_; }

 private:
  int loops_, blas_;
};

/// Bytes of memory that the host can still give (what the system calls available, or less inside a
/// memory-limited group).
Index available_memory();

/// Throws Error when `bytes` are not available: for work whose parts would each still fit. `what` needs them.
void require_memory(double bytes, const std::string& what);

}  // namespace lowrank
