#pragma once

#include <array>
#include <lowrank/core/training.hpp>
#include <lowrank/cpu/training_kernels.hpp>

namespace lowrank {

/// The rule of the update that is made when `step` updates have been made.
template <Real T>
kernels::Rule<T> rule_of(const Optimizer& optimizer, std::int64_t step);

/// The updates that columns of column-major weights owe. Columns may be worked on by several threads.
template <Real T>
class OwedUpdates {
 public:
  /// The most updates that a column may owe.
  static constexpr Index most = 64;

  /// Throws std::invalid_argument when a column owes more, or the weights are row-major.
  OwedUpdates(const Owing<T>& owing, const Optimizer& optimizer, const TrainingClock* clock);

  bool none() const { return oldest_ == now_; }
  bool owes(Index i) const { return owing_.since[i] >= 0; }
  bool must_not_wait(Index i) const { return owing_.since[i] == now_ - most; }
  /// Makes those of column i, and asks for column `next`.
  void make(Index i, Index next) const;

 private:
  Owing<T> owing_;
  std::int64_t now_, oldest_;
  std::array<kernels::Rule<T>, most> rules_;  // from the oldest step that is owed on
  bool shrink_ = true;
};

}  // namespace lowrank
