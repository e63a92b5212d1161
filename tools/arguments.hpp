#pragma once

#include <cstdint>
#include <lowrank/core/types.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowrank::tools {

struct Example {
  std::string command, meaning;
};

/// The arguments of one subcommand: what there is, what was given, and the help on it. Variables are bound before
/// parse() and filled by it; an option that was not given leaves its variable as it was.
class Arguments {
 public:
  Arguments(std::string program, std::string description, std::vector<Example> examples);
  ~Arguments();

  /// A file that must be given, in its place or by one of `names`, "-o,--output" or the like.
  void positional(const std::string& name, std::string& value, const std::string& help, const std::string& names = "");

  void flag(const std::string& name, bool& value, const std::string& help);
  /// `names` is "-o,--output" or the like, `metavar` what stands for the value in the help.
  void option(const std::string& names, const std::string& metavar, std::optional<Index>& value,
              const std::string& help);
  void option(const std::string& names, const std::string& metavar, std::optional<double>& value,
              const std::string& help);
  void option(const std::string& names, const std::string& metavar, std::optional<std::string>& value,
              const std::string& help);
  void option(const std::string& names, const std::string& metavar, std::optional<std::uint64_t>& value,
              const std::string& help);
  void option(const std::string& names, const std::string& metavar, std::uint64_t& value, const std::string& help);
  /// May be given several times; `values` are in the order in which they were given.
  void repeatable(const std::string& names, const std::string& metavar, std::vector<std::string>& values,
                  const std::string& help);
  /// One of a few words.
  void choice(const std::string& name, std::string& value, const std::vector<std::string>& words,
              const std::string& help);
  /// Bytes: 4096, 512MiB, 2GiB, 1GB.
  void size(const std::string& name, Index& value, const std::string& help);

  /// Whether to go on: false where help was asked for, which is then help(). Throws UsageError.
  bool parse(int argc, char** argv);
  std::string help() const;

 private:
  struct Parser;
  void describe(const std::string& names, const std::string& metavar, const std::string& help);
  template <class Take>
  void add(const std::string& names, const std::string& metavar, const std::string& help, Take take);

  std::unique_ptr<Parser> parser_;
};

}  // namespace lowrank::tools
