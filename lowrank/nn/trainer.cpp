#include <fmt/core.h>

#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/nn/checkpoint.hpp>
#include <lowrank/nn/fit.hpp>
#include <lowrank/nn/trainer.hpp>
#include <lowrank/nn/training_step.hpp>
#include <stdexcept>

namespace lowrank {
namespace {

void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument("train: " + message);
}

void check_options(const TrainOptions& options, const TrainingProgress& progress) {
  const Optimizer& o = progress.optimizer;
  require(progress.batch >= 1, fmt::format("a batch of {}", progress.batch));
  require(options.epochs >= 1, fmt::format("{} epochs", options.epochs));
  require(options.limit >= 0, fmt::format("a limit of {} steps", options.limit));
  require(options.report_every >= 1 && options.checkpoint_every >= 0, "a negative or empty interval");
  require(std::isfinite(o.lr) && o.lr > 0, fmt::format("the learning rate {} is not a positive number", o.lr));
  require(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1, fmt::format("β is {} and {}", o.beta1, o.beta2));
  require(std::isfinite(o.epsilon) && o.epsilon >= 0, fmt::format("ε is {}", o.epsilon));
}

/// The loop over epochs, batches and reports, for whatever a TrainingStep trains.
template <Real T>
class Loop {
 public:
  using Save = std::function<void(const TrainingProgress&)>;

  Loop(TrainingStep<T>& step, Device& device, const Dataset& data, RandomSource& random, TrainingProgress progress,
       const TrainOptions& options, Save save)
      : step_(step),
        device_(device),
        primitives_(device.training<T>()),
        data_(data),
        random_(random),
        at_(std::move(progress)),
        options_(options),
        save_(std::move(save)),
        first_step_(at_.step),
        report_every_(options.on_step ? options.report_every : std::max<Index>(100, options.report_every)),
        order_(data.size(), device),
        labels_(at_.batch, device),
        losses_(report_every_, device),
        clock_(1, device),
        host_losses_(static_cast<std::size_t>(report_every_)),
        host_order_(static_cast<std::size_t>(data.size())) {
    const Index an_epoch = (data.size() + at_.batch - 1) / at_.batch;
    if (__builtin_mul_overflow(an_epoch, options.epochs, &total_)) total_ = std::numeric_limits<Index>::max();
    if (options.limit > 0) total_ = std::min(total_, options.limit);
  }

  TrainResult run() {
    if (at_.epochs_begun > 0) begin_epoch();
    reported_ = at_.step;
    start_ = Clock::now();
    while (result_.outcome == TrainOutcome::finished && at_.step < total_) {
      if (at_.epochs_begun == 0 || at_.next >= data_.size()) next_epoch();
      make_steps(uninterrupted());
      const bool last = at_.step == total_,
                 due = options_.checkpoint_every > 0 && at_.step % options_.checkpoint_every == 0;
      if (at_.step - reported_ == report_every_ || last || due) report();
      if (due && !last && result_.outcome == TrainOutcome::finished) save();
    }
    result_.seconds = seconds();
    if (result_.outcome != TrainOutcome::diverged) save();
    result_.steps = at_.step;
    result_.steps_here = at_.step - first_step_;
    result_.mean_loss = at_.step == 0 ? 0 : at_.loss_sum / static_cast<double>(at_.step);
    return result_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  void next_epoch() {
    at_.next = 0;
    ++at_.epochs_begun;
    begin_epoch();
  }

  /// Draws the order of the current epoch.
  void begin_epoch() {
    at_.history = random_.history();
    const std::vector<Index> order = random_.epoch_order(data_.size());
    for (std::size_t i = 0; i < order.size(); ++i) host_order_[i] = data_.members()[static_cast<std::size_t>(order[i])];
    order_.upload(host_order_);
    clock_.upload(std::array{TrainingClock{at_.step, at_.next}});
  }

  /// Steps that can be made before anything else is to be done; all have one size of batch.
  Index uninterrupted() const {
    Index count = std::min(total_ - at_.step, report_every_ - (at_.step - reported_));
    if (options_.checkpoint_every > 0)
      count = std::min(count, options_.checkpoint_every - at_.step % options_.checkpoint_every);
    return std::max<Index>(1, std::min(count, (data_.size() - at_.next) / at_.batch));
  }

  /// Many steps go to the device as a recording, which spares it the calls.
  void make_steps(Index count) {
    constexpr Index recorded = 50;
    const Index n = std::min(at_.batch, data_.size() - at_.next);
    at_.step += count;
    at_.next += count * n;
    while (count > 0) {
      if (full_step_made_ && count >= recorded && !recording_)
        recording_ = device_.record([this] {
          for (Index i = 0; i < recorded; ++i) one_step(at_.batch);
        });
      const bool many = recording_ && count >= recorded;
      if (many)
        recording_->run();
      else
        one_step(n);
      full_step_made_ = full_step_made_ || n == at_.batch;
      count -= many ? recorded : 1;
    }
    step_.settle(at_.optimizer, clock_.data());
  }

  /// Everything that differs from one step to the next is on the device: the clock, the order and the losses.
  void one_step(Index n) {
    primitives_.gather(data_.images(), order_.data(), clock_.data(), step_.inputs(n), labels_.data());
    const MatrixView<const T> logits = step_.forward(n, at_.optimizer, clock_.data());
    primitives_.softmax_cross_entropy(logits, labels_.data(), step_.logit_gradient(n), losses_.data(), losses_.size(),
                                      clock_.data());
    step_.backward(n, at_.optimizer, clock_.data());
    primitives_.advance(clock_.data(), n);
  }

  /// Reads the losses of the steps since the last report.
  void report() {
    losses_.download(host_losses_);
    const double speed = static_cast<double>(at_.step - first_step_) / seconds();
    for (Index s = reported_; s < at_.step; ++s) {
      const double loss = static_cast<double>(host_losses_[static_cast<std::size_t>(s % report_every_)]);
      if (!std::isfinite(loss)) return diverge(s + 1);
      const double weight = 1 / static_cast<double>(std::min<Index>(100, s + 1));
      at_.running_loss += weight * (loss - at_.running_loss);
      at_.loss_sum += loss;
      result_.last_loss = loss;
      if (options_.on_step && options_.on_step({s + 1, total_, loss, at_.running_loss, speed}) == Continue::stop)
        result_.outcome = TrainOutcome::stopped;
    }
    reported_ = at_.step;
  }

  void diverge(Index step) {
    result_.outcome = TrainOutcome::diverged;
    result_.diverged_step = step;
    at_.step = step;
  }

  /// A checkpoint, where those are wanted, unless the last update has left parameters that are not finite.
  void save() {
    if (!step_.finite())
      diverge(at_.step);
    else if (save_)
      save_(at_);
  }

  TrainingStep<T>& step_;
  Device& device_;
  const TrainingPrimitives<T>& primitives_;
  const Dataset& data_;
  RandomSource& random_;
  TrainingProgress at_;
  const TrainOptions& options_;
  Save save_;
  Index first_step_, report_every_, total_ = 0, reported_ = 0;
  Buffer<std::int32_t> order_, labels_;
  Buffer<T> losses_;
  Buffer<TrainingClock> clock_;
  std::vector<T> host_losses_;
  std::vector<std::int32_t> host_order_;
  std::unique_ptr<Recording> recording_;
  bool full_step_made_ = false;
  Clock::time_point start_;
  TrainResult result_;
};

TrainingProgress fresh_progress(const RandomSource& random, const TrainOptions& options) {
  return {.optimizer = options.optimizer, .batch = options.batch, .random = random.kind(), .seed = random.seed()};
}

template <Real T>
void check_data(const Mlp<T>& mlp, const Dataset& data) {
  require_fit(mlp, data);
  require(data.size() > 0, "there are no samples");
}

/// Of the network in that file; empty when there is none.
template <Real T>
std::string digest_of_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return "";
  try {
    return load_mlp<T>(path).digest();
  } catch (const Error&) {
    return "";
  }
}

/// The state alone would do; but where the network was changed since, going on from the state would drop the change. A
/// training that was killed between the two files has left the network that stood there before.
template <Real T>
void check_network(const std::string& checkpoint, const std::string& state, const TrainingProgress& progress,
                   const Mlp<T>& mlp) {
  std::error_code error;
  if (!std::filesystem::exists(checkpoint, error)) return;
  const std::string found = load_mlp<T>(checkpoint).digest();
  if (found != mlp.digest() && found != progress.replaced_digest)
    throw Error(
        fmt::format("{}: its parameters are not those of {}: they were changed after the training, and to go on "
                    "would drop the change; where that is wanted, move {} away, since the state is enough",
                    checkpoint, state, checkpoint));
}

template <Real T>
TrainResult train_from(Mlp<T>& mlp, FullStep<T>& step, const Dataset& data, RandomSource& random,
                       TrainingProgress progress, const TrainOptions& options) {
  progress.data_digest = options.checkpoint.empty() ? "" : data.digest();
  std::string replaced = digest_of_file<T>(options.checkpoint);
  const auto save = [&](TrainingProgress at) {
    // The state first: it is complete in itself, and resume() goes on from it alone.
    at.replaced_digest = replaced;
    save_state<T>(state_path(options.checkpoint), at, mlp.layers(), step.m(), step.v());
    save_mlp<T>(options.checkpoint, mlp);
    replaced = mlp.digest();
  };
  Loop<T> loop(step, mlp.device(), data, random, std::move(progress), options,
               options.checkpoint.empty() ? typename Loop<T>::Save() : save);
  return loop.run();
}

/// The random numbers as they were when the current epoch began.
RandomSource replayed(const std::string& path, const TrainingProgress& progress) {
  try {
    return RandomSource::replay(progress.random, progress.seed, progress.history);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: 'history': {}", path, error.what()));
  }
}

/// Moments are laid out as the step wants them.
template <Real T>
void take_over(std::vector<Linear<T>>& to, const std::vector<Linear<T>>& from) {
  if (to.size() != from.size()) return;
  for (std::size_t l = 0; l < to.size(); ++l) {
    copy<T>(from[l].weight, to[l].weight);
    copy<T>(from[l].bias, to[l].bias);
  }
}

}  // namespace

template <Real T>
TrainResult train(Mlp<T>& mlp, const Dataset& data, RandomSource& random, const TrainOptions& options) {
  TrainingProgress progress = fresh_progress(random, options);
  check_options(options, progress);
  check_data(mlp, data);
  FullStep<T> step(mlp, std::min(options.batch, data.size()), options.optimizer.rule);
  return train_from(mlp, step, data, random, std::move(progress), options);
}

template <Real T>
TrainResult resume(const std::string& checkpoint, Mlp<T>& mlp, const Dataset& data, const TrainOptions& options) {
  const std::string path = state_path(checkpoint);
  TrainingState<T> state = load_state<T>(path, mlp.device());
  check_options(options, state.progress);
  if (state.progress.data_digest != data.digest())
    throw Error(path + ": the training that is to go on had other data than these");
  if (state.progress.next > data.size())
    throw Error(fmt::format("{}: 'next' is {}, beyond the {} samples", path, state.progress.next, data.size()));
  RandomSource random = replayed(path, state.progress);
  try {
    Mlp<T> of_state(std::move(state.parameters));
    check_network(checkpoint, path, state.progress, of_state);
    mlp = std::move(of_state);
  } catch (const std::invalid_argument& error) {
    throw Error(fmt::format("{}: {}", path, error.what()));
  }
  check_data(mlp, data);
  FullStep<T> step(mlp, std::min(state.progress.batch, data.size()), state.progress.optimizer.rule);
  take_over(step.m(), state.m);
  take_over(step.v(), state.v);
  return train_from(mlp, step, data, random, std::move(state.progress), options);
}

template <Real T>
TrainResult train_adapter(const Mlp<T>& base, LoraAdapter<T>& adapter, const Dataset& data, RandomSource& random,
                          const TrainOptions& options) {
  TrainingProgress progress = fresh_progress(random, options);
  check_options(options, progress);
  require(options.checkpoint.empty(), "checkpoints are for train(); an adapter is saved by save_adapter()");
  check_data(base, data);
  adapter.check_base(base);
  LoraStep<T> step(base, adapter, std::min(options.batch, data.size()), options.optimizer.rule);
  Loop<T> loop(step, base.device(), data, random, std::move(progress), options, {});
  return loop.run();
}

#define LOWRANK_INSTANTIATE(T)                                                                         \
  template TrainResult train<T>(Mlp<T>&, const Dataset&, RandomSource&, const TrainOptions&);          \
  template TrainResult resume<T>(const std::string&, Mlp<T>&, const Dataset&, const TrainOptions&);    \
  template TrainResult train_adapter<T>(const Mlp<T>&, LoraAdapter<T>&, const Dataset&, RandomSource&, \
                                        const TrainOptions&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
