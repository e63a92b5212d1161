#pragma once

#include <string>
#include <utility>

namespace lowrank {

/// Enters a new name for a temporary file beside `target` (an absolute path) into the list of files that a
/// deadly signal or exit() removes, and returns its slot and the name. Each call sees to it that the handlers
/// of SIGINT, SIGTERM and SIGHUP are ours, before those that were there. Safe to call from several threads. Throws
/// Error when the name is too long or too many are open.
std::pair<int, std::string> register_temporary(const std::string& target);

/// Takes the name off the list; the file itself is not touched.
void unregister_temporary(int slot) noexcept;

}  // namespace lowrank
