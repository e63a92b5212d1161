#pragma once

#include <functional>
#include <lowrank/nn/dataset.hpp>
#include <lowrank/nn/lora.hpp>
#include <lowrank/nn/random_source.hpp>
#include <string>

namespace lowrank {

/// What is known after a step.
struct StepReport {
  Index step;               ///< 1, 2, ... over the whole training, resumed parts included
  Index total_steps;        ///< at which training ends
  double loss;              ///< of this step's batch, before the update
  double running_loss;      ///< exponential mean over about the last hundred steps
  double steps_per_second;  ///< of this run, so far
};

enum class Continue { yes, stop };

struct TrainOptions {
  Index batch = 10;
  Optimizer optimizer{};
  Index epochs = 1;
  /// Steps at most, over the whole training; 0: as many as the epochs have.
  Index limit = 0;
  /// Called after each step, in order, from the thread that called; Continue::stop ends training after that step (with
  /// a checkpoint, if those are wanted). An exception ends it without one.
  std::function<Continue(const StepReport&)> on_step{};
  /// Losses are read from the device (and reported) once in so many steps; then the parameters are those after the last
  /// of them. Between reports a device runs on its own, and the CPU lets updates of weights that a small batch does not
  /// use wait, which spares up to half of a step: 50 or more is fast. Without on_step it is at least 100.
  Index report_every = 1;
  /// Where to keep checkpoints (see checkpoint.hpp), e.g. "base.safetensors"; empty: none. Only for train().
  std::string checkpoint{};
  /// Steps between them; 0: only at the end.
  Index checkpoint_every = 0;
};

/// finished: all steps were made. stopped: on_step asked for it. diverged: the loss, or a parameter when a checkpoint
/// was due or at the end, was NaN or Inf.
enum class TrainOutcome { finished, stopped, diverged };

struct TrainResult {
  TrainOutcome outcome = TrainOutcome::finished;
  Index steps = 0;       ///< made over the whole training
  Index steps_here = 0;  ///< made by this call
  double mean_loss = 0;  ///< mean of the batches' means over the whole training
  double last_loss = 0;
  /// The step whose loss, or after which a parameter, was not finite; its update was made: the parameters are of no
  /// use.
  Index diverged_step = 0;
  double seconds = 0;  ///< of the steps of this call
  double steps_per_second() const { return seconds > 0 ? static_cast<double>(steps_here) / seconds : 0; }
};

/// Trains all parameters on the softmax cross-entropy, the last, smaller batch of an epoch included. `random` gives the
/// order of the samples. The same seed gives the same losses to the bit, with any number of threads. No memory is
/// allocated between the steps of an epoch. Checkpoints are written every checkpoint_every steps, at the end and when
/// stopped, but never after divergence. Throws std::invalid_argument: batch, epochs, limit below 1 (limit: below 0), lr
/// not finite or not positive, β outside [0, 1), images of another size than the inputs, more classes than outputs.
/// Throws Error when a checkpoint cannot be written.
template <Real T>
TrainResult train(Mlp<T>& mlp, const Dataset& data, RandomSource& random, const TrainOptions& options);

/// Goes on from a checkpoint: replaces mlp's parameters by those of the checkpoint's state and makes the steps that are
/// left, with the same losses as the uninterrupted run to the bit (same threads). Batch, optimizer, seed and order come
/// from the checkpoint; of `options` these are used: epochs, limit, on_step, report_every, checkpoint,
/// checkpoint_every. Throws Error: no state beside the checkpoint, or a damaged one, a network at `checkpoint` whose
/// parameters were changed since, other data than it was trained on.
template <Real T>
TrainResult resume(const std::string& checkpoint, Mlp<T>& mlp, const Dataset& data, const TrainOptions& options);

/// Trains the adapter's A and B; the base is only read, its gradients are never computed and B·A is never formed.
/// Otherwise as train(). Throws Error when the adapter is for another base.
template <Real T>
TrainResult train_adapter(const Mlp<T>& base, LoraAdapter<T>& adapter, const Dataset& data, RandomSource& random,
                          const TrainOptions& options);

}  // namespace lowrank
