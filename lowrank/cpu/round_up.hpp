#pragma once

#include <lowrank/core/types.hpp>

namespace lowrank {

/// The least multiple of `to` that is no smaller than n.
constexpr Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

}  // namespace lowrank
