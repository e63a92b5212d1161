#include <algorithm>
#include <cmath>
#include <lowrank/cpu/training_owed.hpp>
#include <stdexcept>

namespace lowrank {
namespace {

/// Whether Adam's update without a gradient is smaller than the one before: m shrinks by β₁, √v·root by √β₂ and by what
/// the correction of the bias loses. The margin is for rounding.
template <Real T>
bool shrinks(const kernels::Rule<T>& before, const kernels::Rule<T>& rule) {
  return rule.step * (1 - rule.keep1) * before.root < T(0.99) * before.step * std::sqrt(rule.beta2) * rule.root;
}

}  // namespace

template <Real T>
kernels::Rule<T> rule_of(const Optimizer& optimizer, std::int64_t step) {
  const double t = static_cast<double>(step + 1);
  const bool adam = optimizer.rule == UpdateRule::adam;
  return {.adam = adam,
          .keep1 = static_cast<T>(1 - optimizer.beta1),
          .keep2 = static_cast<T>(1 - optimizer.beta2),
          .beta2 = static_cast<T>(optimizer.beta2),
          .step = static_cast<T>(adam ? optimizer.lr / (1 - std::pow(optimizer.beta1, t)) : optimizer.lr),
          .root = static_cast<T>(1 / std::sqrt(1 - std::pow(optimizer.beta2, t))),
          .epsilon = static_cast<T>(optimizer.epsilon)};
}

template <Real T>
OwedUpdates<T>::OwedUpdates(const Owing<T>& owing, const Optimizer& optimizer, const TrainingClock* clock)
    : owing_(owing), now_(clock->step), oldest_(now_) {
  const MatrixView<T>& W = owing.weight.value;
  if (W.order() != Order::col_major)
    throw std::invalid_argument("training primitives: updates wait in weights by columns");
  for (Index i = 0; i < W.cols(); ++i)
    if (owes(i)) oldest_ = std::min(oldest_, owing.since[i]);
  if (oldest_ < now_ - most)
    throw std::invalid_argument("training primitives: updates have waited for more steps than they may");
  for (std::size_t k = 0; k < static_cast<std::size_t>(now_ - oldest_); ++k) {
    rules_[k] = rule_of<T>(optimizer, oldest_ + static_cast<std::int64_t>(k));
    shrink_ = shrink_ && (k == 0 || shrinks(rules_[k - 1], rules_[k]));
  }
}

template <Real T>
void OwedUpdates<T>::make(Index i, Index next) const {
  const Trained<T>& W = owing_.weight;
  const Index at = i * W.value.ld();
  std::int64_t& since = owing_.since[i];
  kernels::catch_up<T>({.count = W.value.rows(),
                        .p = W.value.data() + at,
                        .m = W.m.data() + at,
                        .v = W.v.data() + at,
                        .ahead = (next - i) * W.value.ld(),
                        .rules = rules_.data() + (since - oldest_),
                        .steps = now_ - since,
                        .shrinks = shrink_});
  since = -1;
}

#define LOWRANK_INSTANTIATE(T)                                       \
  template kernels::Rule<T> rule_of(const Optimizer&, std::int64_t); \
  template class OwedUpdates<T>;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
