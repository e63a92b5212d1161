#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

/// What Gaussian probes prove. ‖F·ω‖ >= ‖F‖·|g| for a standard normal g (the component of ω along F's leading right
/// vector), and of `probes` independent g all are below √(π/2)·failure^(1/probes) in magnitude with probability
/// `failure` at most (Halko, Martinsson, Tropp 2011, lemma 4.1).

namespace lowrank {

constexpr double probe_failure = 1e-10;

/// The largest of `probes` independent |g| is at least this, but for a probability `failure`.
inline double least_probe(std::size_t probes, double failure = probe_failure) {
  return std::sqrt(std::numbers::pi / 2) * std::pow(failure, 1.0 / static_cast<double>(probes));
}

/// ‖F‖₂ <= this from the norms of F·ωᵢ, but for a probability `failure`.
inline double probed_norm(const std::vector<double>& norms, double failure = probe_failure) {
  return *std::max_element(norms.begin(), norms.end()) / least_probe(norms.size(), failure);
}

}  // namespace lowrank
