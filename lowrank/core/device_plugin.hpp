#pragma once

#include <lowrank/core/device.hpp>

namespace lowrank {

/// Raised by every change of Device, Primitives, TrainingPrimitives, or of what they take and return.
constexpr int device_abi = 4;

/// What a library with devices hands out. It is opened at run time (see Device::open), by a program of the same build:
/// C++ types cross the border, and its functions throw Error (std::invalid_argument for the caller's mistakes) as any
/// other. Symbols of lowrank that it uses are those of the program that opens it. The library is never closed.
struct DevicePlugin {
  int abi;              ///< device_abi
  const char* version;  ///< the project's version
  /// How many devices there are, usable or not; 0 where there is none. Throws Error when that cannot be found out.
  Index (*count)();
  /// Device `index`, 0 <= index < count(). Does not throw for a device that cannot be used: `unusable` says why.
  DeviceInfo (*describe)(Index index);
  /// The device, made at the first call and the same at each later one; it lives as long as the process. Throws Error
  /// when it cannot be used. May be called by several threads.
  Device& (*open)(Index index);
};

}  // namespace lowrank

/// The one symbol of a library with devices.
extern "C" const lowrank::DevicePlugin* lowrank_device_plugin();
