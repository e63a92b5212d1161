#pragma once

namespace lowrank {

/// Of Intel's processors, whose prefetchers and units differ from others with the same instructions.
inline bool made_by_intel() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_is("intel");
#else
  return false;
#endif
}

}  // namespace lowrank
