#pragma once

#include <lowrank/core/types.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace lowrank {

/// The `count` singular values that a spectrum's name stands for, falling, i from 0:
///   exp:Q              σᵢ = 10^(−Q·i), Q ≥ 0
///   poly:P             σᵢ = (i+1)^(−P), P ≥ 0
///   step:R,LOW         the first R values 1, the rest LOW, 0 ≤ LOW ≤ 1
///   stairs:LEN,RATIO   steps of LEN equal values, the first step 1, each next one RATIO times the last, 0 < RATIO ≤ 1
///   flat               all 1
/// Throws std::invalid_argument saying what is wrong with `spec`. The form file:PATH is the caller's to read (see
/// spectrum_file); here it is an error.
std::vector<double> spectrum(std::string_view spec, Index count);

/// PATH if `spec` is file:PATH.
std::optional<std::string_view> spectrum_file(std::string_view spec);

}  // namespace lowrank
