#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/svd/stopping.hpp>

namespace lowrank {

StoppingRule::StoppingRule(Truncation wish, double norm, double excess, Precision precision, Index smaller, Basis basis)
    : wish_(wish),
      norm_(norm),
      excess_(excess),
      precision_(precision),
      previous_precision_(precision),
      smaller_(smaller),
      basis_(basis) {}

/// ‖A‖² - ‖QᵀA‖². Where that cancels, the singular values outside are taken to be no larger than the last Ritz value.
/// Nothing when ‖A‖ is not known: what is left out is then no more than the Ritz values beyond the wish, the strictest
/// reading.
StoppingRule::Outside StoppingRule::outside_of(const std::vector<double>& ritz, double inside) const {
  if (norm_ < 0) return {0, false, false};
  const double noise = precision_.of_sum(inside);
  const double outside = norm_ * norm_ - inside;
  if (outside > noise) return {outside, outside > 2 * noise, true};
  const double last = ritz.back(), count = static_cast<double>(smaller_) - static_cast<double>(ritz.size());
  return {std::min(noise, count * last * last), false, basis_ == Basis::subspace};
}

double allowed_energy(double rtol, double norm, double eps) {
  return std::max(rtol * rtol - 36 * eps, 0.96 * rtol * rtol) * norm * norm;
}

Index least_rank(const std::vector<double>& values, double outside, double allowed) {
  double tail = outside;
  if (tail > allowed) return static_cast<Index>(values.size()) + 1;
  Index r = static_cast<Index>(values.size());
  for (; r > 0; --r) {
    const double value = values[static_cast<std::size_t>(r - 1)];
    if (tail + value * value > allowed) break;
    tail += value * value;
  }
  return r;
}

Index StoppingRule::rank_for_wish(const std::vector<double>& ritz, double outside) const {
  return least_rank(ritz, outside, allowed_energy(wish_.rtol, norm_, precision_.absolute));
}

double StoppingRule::expected_gain(const std::vector<double>& ritz, Index rank, const Outside& outside) {
  double gain = std::numeric_limits<double>::infinity();
  if (!previous_.empty()) {
    gain = 0;
    for (std::size_t i = 0; i < std::min(static_cast<std::size_t>(rank), previous_.size()); ++i) {
      // Exact values only grow. Those of a rounded matrix also change where the iteration changes sides, and back.
      const double now = ritz[i] * ritz[i], once = std::abs(now - previous_[i] * previous_[i]);
      const double change = i < older_.size() ? std::min(once, std::abs(now - older_[i] * older_[i])) : once;
      if (change >
          std::max(precision_.of_square(ritz[i], ritz.front()), previous_precision_.of_square(ritz[i], ritz.front())))
        gain += change;
    }
  }
  double expected = gain;
  if (std::isfinite(gain)) {
    // A gain far below the last one begins a slower phase, of which nothing is known yet. Of a first gain nothing is
    // known at all: where double goes on from float on a plateau of noise, gains fall by less than a fifth a step.
    double ratio = last_gain_ > 0 ? gain / last_gain_ : 0;
    ratio = last_gain_ <= 0 ? 0.85 : ratio < 0.25 ? 0.7 : std::clamp(ratio, 0.5, 0.95);
    expected = gain * ratio / (1 - ratio);
  }
  last_gain_ = std::isfinite(gain) ? gain : -1;
  return outside.bounds_gain ? std::min(expected, outside.energy) : expected;
}

StoppingRule::Verdict StoppingRule::judge(const std::vector<double>& ritz) {
  double inside = 0;
  for (const double value : ritz) inside += value * value;
  const Outside outside = outside_of(ritz, inside);

  const Index have = static_cast<Index>(ritz.size());
  Verdict verdict;
  verdict.rank = wish_.rank > 0 ? wish_.rank : rank_for_wish(ritz, outside.energy);
  verdict.met = verdict.rank <= have;
  if (verdict.met) {
    const double expected = expected_gain(ritz, verdict.rank, outside);
    double tail = outside.energy, kept = 0;
    for (Index i = 0; i < have; ++i) {
      const double square = ritz[static_cast<std::size_t>(i)] * ritz[static_cast<std::size_t>(i)];
      (i < verdict.rank ? kept : tail) += square;
    }
    verdict.error = std::sqrt(tail);
    verdict.told = outside.told;
    const double last = verdict.rank > 0 ? ritz[static_cast<std::size_t>(verdict.rank - 1)] : norm_;
    verdict.hidden = precision_.relative > 0 && (!outside.told || precision_.hides(last, norm_));
    // (1 + excess)² - 1 in squares; half of it, since the gain is an estimate. Where the tail outweighs what is kept,
    // the error says little of the singular values: then what is kept must have settled as closely.
    // Where the tail was bounded by the last value it is taken up to three times too large (of noise).
    const double excess = outside.told || norm_ < 0 ? excess_ : excess_ / 3;
    verdict.settled =
        expected <= excess * std::min(tail, kept) || expected <= 8 * precision_.absolute * precision_.absolute * inside;
    if (wish_.rank == 0) {
      // And what the gain would save in rank is at most 2 % or one triplet.
      const Index least = rank_for_wish(ritz, std::max(0.0, outside.energy - expected));
      verdict.settled = verdict.settled && verdict.rank - least <= std::max<Index>(1, verdict.rank / 50);
    }
  } else {
    last_gain_ = -1;
  }
  older_ = std::move(previous_);
  previous_ = ritz;
  previous_precision_ = precision_;
  return verdict;
}

}  // namespace lowrank
