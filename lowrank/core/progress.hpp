#pragma once

#include <functional>
#include <string_view>

namespace lowrank {

/// What a long computation says of itself. `fraction` is in [0, 1], or negative where the amount of
/// work is not known beforehand.
struct Progress {
  std::string_view stage;
  double fraction;
};

/// Called from the thread that called the library, a few times a second at most per stage. An
/// exception thrown from it ends the computation and reaches the caller.
using ProgressCallback = std::function<void(const Progress&)>;

}  // namespace lowrank
