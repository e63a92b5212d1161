#pragma once

#include <stdexcept>

namespace lowrank::tools {

/// Exit statuses, as DESIGN.md has them.
enum Status { done = 0, check_failed = 1, usage = 2, unusable = 3 };

/// The command line cannot be followed: exit status 2. What the environment does wrong is a lowrank::Error: 3.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace lowrank::tools
