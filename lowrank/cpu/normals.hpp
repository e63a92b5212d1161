#pragma once

#include <cstdint>
#include <lowrank/core/types.hpp>

namespace lowrank {

/// The pairs number `position` of `count` rows from first_row on, bit for bit those of Philox(seed,
/// stream).normal_pair, rounded to T.
template <Real T>
void normal_pairs(std::uint64_t seed, std::uint64_t stream, std::uint64_t first_row, std::uint32_t position,
                  Index count, T* first, T* second);

}  // namespace lowrank
