#pragma once

#include <functional>
#include <lowrank/core/types.hpp>
#include <vector>

namespace lowrank::bench {

/// Times of one piece of work, at least one.
class Samples {
 public:
  void add(double seconds);
  std::size_t count() const { return sorted_.size(); }
  double least() const { return sorted_.front(); }
  double greatest() const { return sorted_.back(); }
  double median() const;
  double total() const;

 private:
  std::vector<double> sorted_;
};

double now();

/// One of several pieces of work that are timed against each other.
struct Contender {
  std::function<void()> work;
  Samples samples{};
};

struct Alternation {
  int repeats = 5;
  /// Work shorter than this is repeated within a sample, and the sample is the mean of these runs.
  double least_seconds = 0;
  /// A contender that has used this much is left out of the rounds that follow.
  double budget = 20;
};

/// Runs the contenders in turns, A B C A B C, so that a change of the machine's speed meets all alike.
void alternate(std::vector<Contender>& contenders, const Alternation& options);

/// The times of one piece of work.
Samples samples_of(const std::function<void()>& work, const Alternation& options);

}  // namespace lowrank::bench
