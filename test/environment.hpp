#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace check {

/// An environment variable, set (or unset) while this lives; the one of before is put back.
class Environment {
 public:
  Environment(const char* name, std::optional<std::string> value) : name_(name) {
    if (const char* had = std::getenv(name)) before_ = had;
    put(value);
  }
  ~Environment() { put(before_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void put(const std::optional<std::string>& value) const {
    if (value)
      setenv(name_, value->c_str(), 1);
    else
      unsetenv(name_);
  }

  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace check
