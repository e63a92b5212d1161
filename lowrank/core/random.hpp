#pragma once

#include <Random123/philox.h>

#include <cmath>
#include <cstdint>
#include <numbers>

namespace lowrank {

/// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011). A number is a function
/// of its key (seed) and counter (stream and position), so any thread or device can make any part of a
/// sequence, and they all make the same words. Normals are the same bits on any thread; on a GPU the last ones may
/// differ, as its logarithm and cosine do. `stream` keeps the uses of one seed apart.
class Philox {
 public:
  Philox(std::uint64_t seed, std::uint64_t stream)
      : key_{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}}, stream_(stream) {}

  struct Pair {
    double first, second;
  };

  /// The standard normals number 2·position and 2·position + 1 of row `row`, by Box and Muller's transform
  /// of two 53-bit uniforms.
  Pair normal_pair(std::uint64_t row, std::uint32_t position) const {
    const auto bits = words(row, position);
    const double u = uniform(bits.v[0], bits.v[1]), v = uniform(bits.v[2], bits.v[3]);
    const double radius = std::sqrt(-2.0 * std::log1p(-u)), angle = 2.0 * std::numbers::pi * v;
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }

  /// A 64-bit word, uniform.
  std::uint64_t word(std::uint64_t row, std::uint32_t position = 0) const {
    const auto bits = words(row, position);
    return static_cast<std::uint64_t>(bits.v[0]) << 32 | bits.v[1];
  }

 private:
  r123::Philox4x32::ctr_type words(std::uint64_t row, std::uint32_t position) const {
    // 48 bits of the row, 32 of the position, 48 of the stream.
    const std::uint64_t mixed = (row >> 32 & 0xffff) | (stream_ & 0xffff) << 16;
    return r123::Philox4x32()({{static_cast<std::uint32_t>(row), position, static_cast<std::uint32_t>(mixed),
                                static_cast<std::uint32_t>(stream_ >> 16)}},
                              key_);
  }
  static double uniform(std::uint32_t high, std::uint32_t low) {  // [0, 1)
    return static_cast<double>((static_cast<std::uint64_t>(high) << 32 | low) >> 11) * 0x1p-53;
  }

  r123::Philox4x32::key_type key_;
  std::uint64_t stream_;
};

}  // namespace lowrank
