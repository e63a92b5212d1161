#pragma once

#include <Random123/philox.h>

#include <cstdint>
#include <lowrank/core/box_muller.hpp>

namespace lowrank {

/// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011). A number is a function
/// of its key (seed) and counter (stream and position), so any thread or device can make any part of a
/// sequence, and they all make the same bits. `stream` keeps the uses of one seed apart.
class Philox {
 public:
  LOWRANK_ON_ANY_DEVICE Philox(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  using Pair = NormalPair;

  /// The standard normals number 2·position and 2·position + 1 of row `row`.
  LOWRANK_ON_ANY_DEVICE Pair normal_pair(std::uint64_t row, std::uint32_t position) const {
    const auto bits = words(row, position);
    return BoxMuller::of(joined(bits.v[0], bits.v[1]) >> 11, joined(bits.v[2], bits.v[3]) >> 11);
  }

  /// A 64-bit word, uniform.
  LOWRANK_ON_ANY_DEVICE std::uint64_t word(std::uint64_t row, std::uint32_t position = 0) const {
    const auto bits = words(row, position);
    return joined(bits.v[0], bits.v[1]);
  }

 private:
  LOWRANK_ON_ANY_DEVICE r123::Philox4x32::ctr_type words(std::uint64_t row, std::uint32_t position) const {
    // 48 bits of the row, 32 of the position, 48 of the stream.
    const std::uint64_t mixed = (row >> 32 & 0xffff) | (stream_ & 0xffff) << 16;
    const r123::Philox4x32::ctr_type counter{{static_cast<std::uint32_t>(row), position,
                                              static_cast<std::uint32_t>(mixed),
                                              static_cast<std::uint32_t>(stream_ >> 16)}};
    const r123::Philox4x32::key_type key{{static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
    return r123::Philox4x32()(counter, key);
  }
  LOWRANK_ON_ANY_DEVICE static std::uint64_t joined(std::uint32_t high, std::uint32_t low) {
    return static_cast<std::uint64_t>(high) << 32 | low;
  }

  std::uint64_t seed_, stream_;
};

}  // namespace lowrank
