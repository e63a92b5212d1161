#pragma once

#include <cstdint>
#include <lowrank/core/error.hpp>
#include <lowrank/io/file_bytes.hpp>

/// A reader's contract: it returns, or throws lowrank::Error. Anything else that leaves it is a finding.
#define FUZZ_READER(file)                                                             \
  static void read_input(const lowrank::FileBytes& file);                             \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    const std::span<const std::uint8_t> input(data, size);                            \
    try {                                                                             \
      read_input(lowrank::FileBytes::copy_of("input", std::as_bytes(input)));         \
    } catch (const lowrank::Error&) {                                                 \
      return 0;                                                                       \
    }                                                                                 \
    return 0;                                                                         \
  }                                                                                   \
  static void read_input(const lowrank::FileBytes& file)
