#include <cstdlib>
#include <lowrank/core/device_plugin.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/core/version.hpp>

#include "../guarded_device.hpp"

// A library with devices for the tests: two of them, of which cuda:0 is the guarded device and cuda:1 cannot be used.
// The environment changes how many there are.

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION lowrank::version
#endif
#ifndef PLUGIN_ABI
#define PLUGIN_ABI lowrank::device_abi
#endif

namespace {

lowrank::Index count() {
  const char* given = std::getenv("GUARDED_DEVICES");
  if (given == nullptr) return 2;
  if (*given == '-') throw lowrank::Error("the driver does not answer");
  return std::atoi(given);
}

lowrank::DeviceInfo describe(lowrank::Index index) {
  if (index == 1) return {.name = "cuda:1", .model = "Old", .unusable = "its compute capability 5.0 is below 8.0"};
  return {.name = "cuda:0", .model = "Guarded", .memory = 1 << 30, .available = 1 << 29};
}

lowrank::Device& open(lowrank::Index) { return guarded_device(); }

const lowrank::DevicePlugin plugin{PLUGIN_ABI, PLUGIN_VERSION, count, describe, open};

}  // namespace

extern "C" const lowrank::DevicePlugin* lowrank_device_plugin() { return &plugin; }
