#pragma once

#include <signal.h>

#include <lowrank/io/atomic_file.hpp>
#include <lowrank/nn/trainer.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "command_line.hpp"
#include "progress_bar.hpp"

namespace lowrank::tools {

/// The folder given, or the installed Fashion-MNIST. Throws Error when that is not installed.
std::string data_folder(const std::optional<std::string>& given);
constexpr const char* data_help =
    "the folder of the four IDX files, plain or .gz\n(default: the installed Fashion-MNIST)";

/// The parts of "a,b,c". Throws UsageError for an empty part; numbers() also for one that is no number from `least` on.
std::vector<std::string> words(const std::string& option, const std::string& text);
std::vector<Index> numbers(const std::string& option, const std::string& text, Index least);

/// How many classes the labels may name: as many as the network has outputs.
int classes_of(const Mlp<float>& mlp);

/// Steps between two readings of the losses: more than one on a device, which then runs on its own, and where updates
/// may wait in between.
Index report_interval(const Device& device, bool waiting);

/// "2,807,010".
std::string grouped(Index number);
/// "784-1000-2000-10".
std::string sizes_text(const std::vector<Index>& sizes);
/// Throws UsageError unless the name ends in .safetensors.
void check_network_ending(const std::string& option, const std::string& path);
/// Throws UsageError for a value below 1.
void check_positive(const char* option, const std::optional<Index>& value);
/// Throws UsageError when the log would be written over one of these files.
void check_log(const std::optional<std::string>& log, const std::vector<std::string>& others);
/// Throws Error, naming both, unless the network `model` takes the pictures of `folder`.
void check_fit(const Mlp<float>& mlp, const std::string& model, const Dataset& data, const std::string& folder);
/// A word as a shell reads it: in quotes where it needs them.
std::string shell_word(const std::string& text);
/// Throws UsageError unless the learning rate is positive.
void check_rate(const std::optional<double>& rate);

/// SIGINT, SIGTERM and SIGHUP wait while this lives, so that a file being written becomes whole; at its end they act.
/// Signals that are ignored stay so. To be made before there are other threads.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  bool pending() const;

 private:
  sigset_t held_, before_;
};

/// What is seen of a training while it runs: the log of its losses, the progress bar, and whether a signal is to stop
/// it.
class TrainingMonitor {
 public:
  /// `log` is the .csv to write step,loss to. Throws Error when it cannot be written.
  TrainingMonitor(const CommandLine& command, const std::optional<std::string>& log);
  /// Both must outlive the training.
  std::function<Continue(const StepReport&)> callback();
  /// Removes the bar and completes the log.
  void finish();
  /// Of all steps, those of earlier runs included.
  Index total_steps() const { return total_steps_; }
  bool interrupted() const { return signals_.pending(); }

 private:
  HeldSignals signals_;
  ProgressBar bar_;
  std::unique_ptr<AtomicFile> log_;
  Index total_steps_ = 0;
};

/// "the loss is not finite at step 12 with the learning rate 1e+30".
std::string divergence_text(const TrainResult& result, double rate);

/// Steps, mean loss and speed as lines of text.
std::vector<std::pair<std::string, std::string>> training_summary(const TrainResult& result);

}  // namespace lowrank::tools
