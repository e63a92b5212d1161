#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
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

/// The Lanczos algorithm on a positive semidefinite B of order n: after `steps` products from a Gaussian start the Ritz
/// value is below (1 - ε)·λ₁ with probability 1.648·√n·exp(-√ε·(2·steps - 1)) at most (Kuczyński and Woźniakowski 1992,
/// theorem 4.2). Of `starts` independent ones the best misses with that power of it. This ε for `failure`; nothing
/// where too few steps were made for any.
inline std::optional<double> lanczos_shortfall(double n, std::size_t starts, std::size_t steps,
                                               double failure = probe_failure) {
  if (steps == 0) return std::nullopt;
  const double missed_by_one = std::pow(failure, 1.0 / static_cast<double>(starts));
  const double root = std::log(1.648 * std::sqrt(n) / missed_by_one) / (2 * static_cast<double>(steps) - 1);
  if (root >= 1) return std::nullopt;
  return root * root;
}

}  // namespace lowrank
