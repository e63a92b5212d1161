#include "command_line.hpp"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <lowrank/core/device.hpp>
#include <lowrank/core/error.hpp>

namespace lowrank::tools {

CommandLine::CommandLine(const std::string& name, const std::string& description, std::vector<Example> examples)
    : arguments("lowrank " + name, description, std::move(examples)), name_(name) {}

void CommandLine::offer_device() {
  arguments.option("--device", "auto|cpu|cuda[:N]", device_name_,
                   "where to compute (default cpu; see lowrank devices)\nauto: a GPU if one can be used");
}

/// Where auto ends up is said, and why it is not a GPU.
void CommandLine::open_device() {
  const bool any = *device_name_ == "auto";
  try {
    device_ = &Device::open(any ? "cuda" : *device_name_);
    if (any) note("--device auto: " + device_->name());
  } catch (const std::invalid_argument& error) {
    throw UsageError(fmt::format("--device: {}", error.what()));
  } catch (const Error& error) {
    if (!any) throw Error(fmt::format("--device {}: {}", *device_name_, error.what()));
    note(fmt::format("--device auto: cpu, since {}", error.what()));
  }
}

bool CommandLine::parse(int argc, char** argv) {
  arguments.flag("--json", json, "print one JSON object, and nothing else, on stdout");
  arguments.flag("--quiet", quiet_, "no notes, warnings or progress on stderr");
  arguments.option("--threads", "N", threads_, "threads to use (default: all cores)");
  if (!arguments.parse(argc, argv)) {
    print(arguments.help());
    return false;
  }
  constexpr Index most = 4096;
  if (threads_ && (*threads_ < 1 || *threads_ > most))
    throw UsageError(fmt::format("--threads {}: a number from 1 to {} is wanted", *threads_, most));
  if (threads_) set_threads(static_cast<int>(*threads_));
  if (device_name_) open_device();
  return true;
}

bool CommandLine::shows_progress() const { return !quiet_ && isatty(STDERR_FILENO) != 0; }

void CommandLine::say(const char* kind, const std::string& text) const {
  if (!quiet_) to_stderr(fmt::format("lowrank {}: {}{}\n", name_, kind, one_line(text)));
}

void to_stderr(const std::string& text) { static_cast<void>(std::fputs(text.c_str(), stderr)); }

void print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return;
  if (errno == EPIPE) {
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
  }
  throw Error(fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n')
      line += line.empty() || line.back() == ' ' ? "" : " ";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      line += c;
  }
  return line;
}

}  // namespace lowrank::tools
