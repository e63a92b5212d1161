#include "training.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/nn/fit.hpp>

#include "report.hpp"

namespace lowrank::tools {

std::string data_folder(const std::optional<std::string>& given) { return given ? *given : installed_dataset(); }

std::vector<std::string> words(const std::string& option, const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) throw UsageError(fmt::format("{} '{}': a list such as a,b is wanted", option, text));
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<Index> numbers(const std::string& option, const std::string& text, Index least) {
  std::vector<Index> values;
  for (const std::string& word : words(option, text)) {
    Index value = 0;
    const char* last = word.data() + word.size();
    const auto [end, error] = std::from_chars(word.data(), last, value);
    if (error != std::errc() || end != last || value < least)
      throw UsageError(fmt::format("{} '{}': '{}' is no whole number from {} on", option, text, word, least));
    values.push_back(value);
  }
  return values;
}

int classes_of(const Mlp<float>& mlp) { return static_cast<int>(std::min<Index>(mlp.outputs(), 256)); }

Index report_interval(const Device& device, bool waiting) { return waiting || &device != &host_device() ? 100 : 1; }

std::string grouped(Index number) {
  std::string text = std::to_string(number);
  for (std::ptrdiff_t i = std::ssize(text) - 3; i > (number < 0 ? 1 : 0); i -= 3)
    text.insert(static_cast<std::size_t>(i), 1, ',');
  return text;
}

std::string sizes_text(const std::vector<Index>& sizes) { return fmt::format("{}", fmt::join(sizes, "-")); }

void check_network_ending(const std::string& option, const std::string& path) {
  if (!path.ends_with(".safetensors"))
    throw UsageError(fmt::format("{} {}: the name must end in .safetensors", option, path));
}

void check_positive(const char* option, const std::optional<Index>& value) {
  if (value && *value < 1) throw UsageError(fmt::format("{} {}: a number from 1 on is wanted", option, *value));
}

void check_log(const std::optional<std::string>& log, const std::vector<std::string>& others) {
  if (!log) return;
  for (const std::string& other : others) {
    std::error_code error;
    // A relative path whose folder is still to be made would stay relative.
    const auto place = [&](const std::string& path) {
      return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
    };
    if (place(*log) == place(other))
      throw UsageError(fmt::format("--log {}: the losses would be written over {}", *log, other));
  }
}

void check_fit(const Mlp<float>& mlp, const std::string& model, const Dataset& data, const std::string& folder) {
  try {
    require_fit(mlp, data);
  } catch (const std::invalid_argument& error) {
    throw Error(fmt::format("{} does not fit {}: {}", folder, model, error.what()));
  }
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

void check_rate(const std::optional<double>& rate) {
  if (rate && !(*rate > 0)) throw UsageError(fmt::format("--lr {}: a positive number is wanted", *rate));
}

HeldSignals::HeldSignals() {
  sigemptyset(&held_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    if (sigaction(number, nullptr, &now) == 0 && ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_IGN))
      sigaddset(&held_, number);
  }
  pthread_sigmask(SIG_BLOCK, &held_, &before_);
}

HeldSignals::~HeldSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

bool HeldSignals::pending() const {
  sigset_t waiting;
  if (sigpending(&waiting) != 0) return false;
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    if (sigismember(&held_, number) == 1 && sigismember(&waiting, number) == 1) return true;
  return false;
}

TrainingMonitor::TrainingMonitor(const CommandLine& command, const std::optional<std::string>& log)
    : bar_(command.shows_progress()) {
  if (!log) return;
  log_ = std::make_unique<AtomicFile>(*log);
  log_->write("step,loss\n");
}

std::function<Continue(const StepReport&)> TrainingMonitor::callback() {
  return [this](const StepReport& report) {
    total_steps_ = report.total_steps;
    if (log_) {
      // The shortest text that reads back as the same float; in a buffer, as this is between two steps.
      std::array<char, 64> line;
      const auto end =
          fmt::format_to_n(line.data(), line.size(), "{},{}\n", report.step, static_cast<float>(report.loss));
      log_->write(line.data(), static_cast<Index>(end.size));
    }
    if (bar_.wanted()) {
      const double done = static_cast<double>(report.step) / static_cast<double>(report.total_steps);
      bar_.show({"training", done},
                fmt::format("loss {:.4f}, {:.1f} steps/s", report.running_loss, report.steps_per_second));
    }
    return interrupted() ? Continue::stop : Continue::yes;
  };
}

void TrainingMonitor::finish() {
  bar_.clear();
  if (log_) log_->commit();
}

std::string divergence_text(const TrainResult& result, double rate) {
  return fmt::format("the training has diverged: the loss or a parameter is not finite at step {} (learning rate {})",
                     result.diverged_step, rate);
}

std::vector<std::pair<std::string, std::string>> training_summary(const TrainResult& result) {
  std::vector<std::pair<std::string, std::string>> lines{{"steps", grouped(result.steps)}};
  if (result.steps != result.steps_here) lines.front().second += fmt::format(" ({} now)", grouped(result.steps_here));
  lines.push_back({"mean loss", number(result.mean_loss, 5)});
  lines.push_back({"time", fmt::format("{}, {:.1f} steps/s", seconds_text(result.seconds), result.steps_per_second())});
  return lines;
}

}  // namespace lowrank::tools
