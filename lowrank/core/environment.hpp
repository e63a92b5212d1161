#pragma once

#include <string>
#include <vector>

namespace lowrank {

struct EnvironmentVariable {
  std::string name, value;
};

/// What a program that computes should have in its environment, and has not. Libraries read these before main begins;
/// what the user has set stays.
///   OPENBLAS_CORETYPE  where OpenBLAS does not know the processor, since it is older, and has taken kernels of SSE,
///                      which are several times as slow: SkylakeX or Haswell, as the processor allows.
///   GOMP_SPINCOUNT     OpenMP's threads spin for a millisecond while they wait, which on a busy machine turns
///                      milliseconds into seconds; not at all, and a step of training waits longer than it works. 2000
///                      rounds, some microseconds, serve both. Not where OMP_WAIT_POLICY is set.
std::vector<EnvironmentVariable> wanted_environment();

/// OpenBLAS's version and the processor that its kernels are for: "OpenBLAS 0.3.21 for SkylakeX".
std::string blas_in_use();

/// Starts the program again with wanted_environment(), some milliseconds' work: to be called first in main, as the
/// command does. Returns where nothing is wanted, where there is no /proc, and where the loader was called with the
/// program's name.
void restart_with_wanted_environment(char** argv);

}  // namespace lowrank
