#pragma once

#include <lowrank/core/device.hpp>
#include <string>
#include <string_view>

#include "arguments.hpp"
#include "failure.hpp"

namespace lowrank::tools {

/// One call of a subcommand: its arguments with the flags that all have, and what it says on stdout and stderr.
class CommandLine {
 public:
  /// `name` is the subcommand's.
  CommandLine(const std::string& name, const std::string& description, std::vector<Example> examples);

  Arguments arguments;
  bool json = false;

  /// For a subcommand that computes: it knows --device. Before parse().
  void offer_device();

  /// Whether to go on (help was printed if not). Sets the number of threads and opens the device. Throws UsageError,
  /// and Error when the device cannot be used.
  bool parse(int argc, char** argv);

  /// Where to compute.
  Device& device() const { return *device_; }

  /// A line on stderr, unless --quiet.
  void note(const std::string& text) const { say("note: ", text); }
  void warn(const std::string& text) const { say("warning: ", text); }

  /// Whether a progress bar is wanted: stderr is a terminal, and not --quiet.
  bool shows_progress() const;

 private:
  void say(const char* kind, const std::string& text) const;
  void open_device();

  std::string name_;
  bool quiet_ = false;
  std::optional<Index> threads_;
  std::optional<std::string> device_name_;
  Device* device_ = &host_device();
};

/// Writes to stdout and flushes. Throws Error when that fails; where the reader has gone the process ends as SIGPIPE
/// would have ended it.
void print(std::string_view text);

/// Where stderr is closed or full, what is said there is lost, and the work goes on.
void to_stderr(const std::string& text);

/// Text on one line: control characters are escaped.
std::string one_line(std::string_view text);

}  // namespace lowrank::tools
