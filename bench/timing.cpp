#include "timing.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace lowrank::bench {
namespace {

double sample(const std::function<void()>& work, double least_seconds) {
  const double start = now();
  double runs = 0, elapsed = 0;
  do {
    work();
    runs += 1;
    elapsed = now() - start;
  } while (elapsed < least_seconds);
  return elapsed / runs;
}

}  // namespace

void Samples::add(double seconds) {
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), seconds), seconds);
}

double Samples::median() const {
  const std::size_t n = sorted_.size();
  return n % 2 == 1 ? sorted_[n / 2] : (sorted_[n / 2 - 1] + sorted_[n / 2]) / 2;
}

double Samples::total() const { return std::accumulate(sorted_.begin(), sorted_.end(), 0.0); }

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void alternate(std::vector<Contender>& contenders, const Alternation& options) {
  for (int round = 0; round < std::max(1, options.repeats); ++round)
    for (Contender& each : contenders)
      if (each.samples.total() < options.budget) each.samples.add(sample(each.work, options.least_seconds));
}

Samples samples_of(const std::function<void()>& work, const Alternation& options) {
  std::vector<Contender> alone{{work}};
  alternate(alone, options);
  return alone.front().samples;
}

}  // namespace lowrank::bench
