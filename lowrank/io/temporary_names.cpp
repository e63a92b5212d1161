#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/io/temporary_names.hpp>
#include <mutex>

namespace lowrank {
namespace {

/// A name lives in static memory, so that a handler can read it at any moment. `owner` is the process that made
/// the file (0: free, -1: being filled in): a forked child must not remove its parent's files.
struct Slot {
  std::atomic<pid_t> owner{0};
  char path[PATH_MAX];
};

constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};
std::array<Slot, 32> slots;
std::array<struct sigaction, signals.size()> earlier;
static_assert(std::atomic<pid_t>::is_always_lock_free);

void remove_all() {
  const pid_t self = ::getpid();
  for (Slot& slot : slots)
    if (slot.owner.load() == self) ::unlink(slot.path);
}

/// What the handler did before ours; only functions that POSIX calls async-signal-safe are called here.
void act_as_before(std::size_t i, siginfo_t* info, void* context) {
  const struct sigaction& old = earlier[i];
  if ((old.sa_flags & SA_SIGINFO) != 0) {
    old.sa_sigaction(signals[i], info, context);
  } else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
    old.sa_handler(signals[i]);
  } else {
    // The signal is blocked here: it acts, by default, as soon as the handler returns.
    ::signal(signals[i], SIG_DFL);
    ::raise(signals[i]);
  }
}

void on_signal(int number, siginfo_t* info, void* context) {
  static std::array<std::atomic<bool>, signals.size()> running{};
  const int error = errno;
  remove_all();
  for (std::size_t i = 0; i < signals.size(); ++i) {
    // A handler that was installed after ours, and under it again, may call ours: that ends here.
    if (signals[i] != number || running[i].exchange(true)) continue;
    act_as_before(i, info, context);
    running[i] = false;
  }
  errno = error;
}

/// Puts our handler on top, unless it is there or the signal is ignored.
void install_handler(std::size_t i) {
  struct sigaction current {};
  ::sigaction(signals[i], nullptr, &current);
  const bool with_info = (current.sa_flags & SA_SIGINFO) != 0;
  if (with_info ? current.sa_sigaction == on_signal : current.sa_handler == SIG_IGN) return;
  earlier[i] = current;
  struct sigaction ours {};
  ours.sa_sigaction = on_signal;
  ours.sa_flags = SA_SIGINFO | (current.sa_flags & (SA_RESTART | SA_ONSTACK));
  ours.sa_mask = current.sa_mask;
  ::sigaction(signals[i], &ours, nullptr);
}

void install_handlers() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < signals.size(); ++i) install_handler(i);
  static const int at_exit = std::atexit(remove_all);
  static_cast<void>(at_exit);
}

std::string temporary_name(const std::string& target) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path path(target);
  // A long name of the target must not make the temporary name too long.
  const std::string base = path.filename().string().substr(0, 100);
  return (path.parent_path() / fmt::format(".{}.{}.{}.tmp", base, ::getpid(), counter++)).string();
}

}  // namespace

std::pair<int, std::string> register_temporary(const std::string& target) {
  install_handlers();
  const std::string name = temporary_name(target);
  if (name.size() >= PATH_MAX) throw Error(fmt::format("{}: the name of the file is too long", target));
  for (std::size_t i = 0; i < slots.size(); ++i) {
    pid_t expected = 0;
    if (!slots[i].owner.compare_exchange_strong(expected, -1)) continue;
    std::memcpy(slots[i].path, name.c_str(), name.size() + 1);
    slots[i].owner.store(::getpid());
    return {static_cast<int>(i), name};
  }
  throw Error(fmt::format("{}: {} output files are open already", target, slots.size()));
}

void unregister_temporary(int slot) noexcept { slots[static_cast<std::size_t>(slot)].owner.store(0); }

}  // namespace lowrank
