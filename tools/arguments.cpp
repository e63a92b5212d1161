#include "arguments.hpp"

#include <fmt/core.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "failure.hpp"

namespace lowrank::tools {
namespace {

struct Described {
  std::string left, help;
};

std::string aligned(const std::vector<Described>& lines) {
  constexpr std::size_t column = 28;
  std::string text;
  for (const Described& line : lines) {
    text += "  " + line.left;
    if (line.left.size() + 4 > column)
      text += "\n" + std::string(column, ' ');
    else
      text += std::string(column - 2 - line.left.size(), ' ');
    for (const char c : line.help) text += c == '\n' ? "\n" + std::string(column, ' ') : std::string(1, c);
    text += '\n';
  }
  return text;
}

[[noreturn]] void refuse(const std::string& names, const std::string& text, const std::string& wanted) {
  const std::string name = names.substr(names.rfind(',') + 1);
  throw UsageError(fmt::format("{} '{}': {}", name, text, wanted));
}

template <class Number>
Number parse_number(const std::string& names, const std::string& text, const char* wanted) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) refuse(names, text, "the number is out of range");
  if (error != std::errc() || end != text.data() + text.size()) refuse(names, text, wanted);
  return value;
}

Index parse_size(const std::string& names, const std::string& text) {
  const char* wanted = "a size is wanted, such as 512MiB or 2GiB";
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc() || !(value > 0)) refuse(names, text, wanted);
  constexpr std::string_view letters = "KMGT";
  if (!unit.empty() && unit != "B") {
    const std::size_t power = letters.find(unit[0]);
    const std::string_view rest = unit.substr(1);
    if (power == letters.npos || (!rest.empty() && rest != "B" && rest != "iB")) refuse(names, text, wanted);
    value *= std::pow(rest == "B" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
  }
  if (value < 1 || value >= 0x1p62) refuse(names, text, "the size is out of range");
  return static_cast<Index>(value);
}

}  // namespace

struct Arguments::Parser {
  std::string program, description;
  std::vector<Example> examples;
  CLI::App app;
  std::vector<Described> positionals, options;
  std::vector<std::pair<std::string, const std::string&>> wanted;  ///< what CLI11 would call by an option's name
  std::string usage;
};

Arguments::Arguments(std::string program, std::string description, std::vector<Example> examples)
    : parser_(std::make_unique<Parser>()) {
  parser_->program = std::move(program);
  parser_->description = std::move(description);
  parser_->examples = std::move(examples);
  parser_->app.set_help_flag();
}

Arguments::~Arguments() = default;

void Arguments::positional(const std::string& name, std::string& value, const std::string& help,
                           const std::string& names) {
  if (names.empty()) {
    parser_->app.add_option(name, value)->required();
  } else {
    const auto take = [name, &value](const std::vector<std::string>& texts) {
      if (texts.size() > 1)
        throw CLI::ParseError(fmt::format("{} is given twice: {} and {}", name, texts[0], texts[1]), 1);
      value = texts.front();
    };
    parser_->app.add_option_function<std::vector<std::string>>(name + "," + names, take)->allow_extra_args(false);
    parser_->wanted.push_back({name, value});
  }
  parser_->positionals.push_back({name, help});
  parser_->usage += " " + name;
}

void Arguments::flag(const std::string& name, bool& value, const std::string& help) {
  parser_->app.add_flag(name, value);
  parser_->options.push_back({name, help});
}

void Arguments::describe(const std::string& names, const std::string& metavar, const std::string& help) {
  std::string shown = names;
  if (const auto comma = shown.find(','); comma != shown.npos) shown.insert(comma + 1, " ");
  parser_->options.push_back({shown + " " + metavar, help});
}

/// `take` gets the text of the value. Exceptions pass through CLI11.
template <class Take>
void Arguments::add(const std::string& names, const std::string& metavar, const std::string& help, Take take) {
  parser_->app.add_option_function<std::string>(names, take)->type_name("value");
  describe(names, metavar, help);
}

void Arguments::option(const std::string& names, const std::string& metavar, std::optional<Index>& value,
                       const std::string& help) {
  add(names, metavar, help, [names, &value](const std::string& text) {
    value = parse_number<Index>(names, text, "a whole number is wanted");
  });
}

void Arguments::option(const std::string& names, const std::string& metavar, std::optional<double>& value,
                       const std::string& help) {
  add(names, metavar, help, [names, &value](const std::string& text) {
    value = parse_number<double>(names, text, "a number is wanted");
    if (!std::isfinite(*value)) refuse(names, text, "a finite number is wanted");
  });
}

void Arguments::option(const std::string& names, const std::string& metavar, std::optional<std::string>& value,
                       const std::string& help) {
  add(names, metavar, help, [names, &value](const std::string& text) {
    if (text.empty()) refuse(names, text, "the value is empty");
    value = text;
  });
}

void Arguments::option(const std::string& names, const std::string& metavar, std::optional<std::uint64_t>& value,
                       const std::string& help) {
  add(names, metavar, help, [names, &value](const std::string& text) {
    value = parse_number<std::uint64_t>(names, text, "a whole number from 0 on is wanted");
  });
}

void Arguments::option(const std::string& names, const std::string& metavar, std::uint64_t& value,
                       const std::string& help) {
  add(names, metavar, help, [names, &value](const std::string& text) {
    value = parse_number<std::uint64_t>(names, text, "a whole number from 0 on is wanted");
  });
}

void Arguments::repeatable(const std::string& names, const std::string& metavar, std::vector<std::string>& values,
                           const std::string& help) {
  const auto take = [names, &values](const std::vector<std::string>& texts) {
    for (const std::string& text : texts)
      if (text.empty()) refuse(names, text, "the value is empty");
    values = texts;
  };
  // One value each time: the next word is another argument.
  parser_->app.add_option_function<std::vector<std::string>>(names, take)->allow_extra_args(false);
  describe(names, metavar, help);
}

void Arguments::choice(const std::string& name, std::string& value, const std::vector<std::string>& words,
                       const std::string& help) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : "|") + word;
  add(name, all, help, [name, all, words, &value](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) == words.end()) refuse(name, text, "one of " + all + " is wanted");
    value = text;
  });
}

void Arguments::size(const std::string& name, Index& value, const std::string& help) {
  add(name, "SIZE", help, [name, &value](const std::string& text) { value = parse_size(name, text); });
}

bool Arguments::parse(int argc, char** argv) {
  // Before CLI11 checks that everything required is there. What follows "--" is no option.
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i)
    if (const std::string_view word = argv[i]; word == "--help" || word == "-h") return false;
  try {
    parser_->app.parse(argc, argv);
    for (const auto& [name, value] : parser_->wanted)
      if (value.empty()) throw CLI::RequiredError(name);
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{} (see {} --help)", error.what(), parser_->program));
  }
  return true;
}

std::string Arguments::help() const {
  const Parser& p = *parser_;
  std::string text = fmt::format("{}\n\nUsage: {}{} [options]\n\n", p.description, p.program, p.usage);
  std::vector<Described> options = p.options;
  options.push_back({"-h, --help", "this text"});
  text += aligned(p.positionals);
  text += (p.positionals.empty() ? "Options:\n" : "\nOptions:\n") + aligned(options) + "\nExamples:\n";
  for (const Example& example : p.examples) text += fmt::format("  {}\n      {}\n", example.command, example.meaning);
  return text;
}

}  // namespace lowrank::tools
