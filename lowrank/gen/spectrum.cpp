#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <lowrank/gen/spectrum.hpp>
#include <stdexcept>
#include <string>

namespace lowrank {
namespace {

[[noreturn]] void refuse(std::string_view spec, const std::string& reason) {
  throw std::invalid_argument(fmt::format(
      "spectrum '{}': {} (the forms are exp:Q, poly:P, step:R,LOW, stairs:LEN,RATIO, flat, file:S.npy)", spec, reason));
}

template <class Number>
Number parse(std::string_view spec, std::string_view text, const char* what) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    refuse(spec, fmt::format("{} is '{}', which is not {}", what, text,
                             std::is_integral_v<Number> ? "a whole number" : "a number"));
  return value;
}

double parse_between(std::string_view spec, std::string_view text, const char* what, double low, double high) {
  const double value = parse<double>(spec, text, what);
  if (!(value >= low && value <= high) || !std::isfinite(value))
    refuse(spec, fmt::format("{} = {} is not {}", what, value,
                             std::isfinite(high) ? fmt::format("between {} and {}", low, high)
                                                 : fmt::format("a finite number from {} on", low)));
  return value;
}

/// The two numbers of "A,B".
std::pair<std::string_view, std::string_view> split(std::string_view spec, std::string_view text, const char* form) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) refuse(spec, fmt::format("two numbers are wanted, {}", form));
  return {text.substr(0, comma), text.substr(comma + 1)};
}

template <class Value>
std::vector<double> tabulate(Index count, const Value& value) {
  std::vector<double> sigma(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i) sigma[static_cast<std::size_t>(i)] = value(i);
  return sigma;
}

std::vector<double> step(std::string_view spec, std::string_view text, Index count) {
  const auto [length, rest] = split(spec, text, "step:R,LOW");
  const Index ones = parse<Index>(spec, length, "R");
  const double low = parse_between(spec, rest, "LOW", 0, 1);
  if (ones < 0 || ones > count)
    refuse(spec, fmt::format("R = {} is not between 0 and the number of singular values, {}", ones, count));
  return tabulate(count, [&](Index i) { return i < ones ? 1.0 : low; });
}

std::vector<double> stairs(std::string_view spec, std::string_view text, Index count) {
  const auto [first, second] = split(spec, text, "stairs:LEN,RATIO");
  const Index length = parse<Index>(spec, first, "LEN");
  const double ratio = parse_between(spec, second, "RATIO", 0, 1);
  if (length < 1) refuse(spec, fmt::format("LEN = {} is not positive", length));
  if (ratio == 0) refuse(spec, "RATIO is 0");
  return tabulate(count, [&](Index i) { return std::pow(ratio, static_cast<double>(i / length)); });
}

}  // namespace

std::vector<double> spectrum(std::string_view spec, Index count) {
  if (count < 0) refuse(spec, fmt::format("{} singular values are wanted", count));
  if (spec == "flat") return tabulate(count, [](Index) { return 1.0; });
  const std::size_t colon = spec.find(':');
  const std::string_view form = spec.substr(0, colon);
  const std::string_view text = colon == std::string_view::npos ? "" : spec.substr(colon + 1);
  constexpr double unlimited = HUGE_VAL;
  if (form == "exp") {
    const double q = parse_between(spec, text, "Q", 0, unlimited);
    return tabulate(count, [&](Index i) { return std::pow(10.0, -q * static_cast<double>(i)); });
  }
  if (form == "poly") {
    const double p = parse_between(spec, text, "P", 0, unlimited);
    return tabulate(count, [&](Index i) { return std::pow(static_cast<double>(i + 1), -p); });
  }
  if (form == "step") return step(spec, text, count);
  if (form == "stairs") return stairs(spec, text, count);
  if (form == "file") refuse(spec, "a file's values are to be read by the caller");
  refuse(spec, "there is no such form");
}

std::optional<std::string_view> spectrum_file(std::string_view spec) {
  constexpr std::string_view prefix = "file:";
  if (!spec.starts_with(prefix)) return std::nullopt;
  return spec.substr(prefix.size());
}

}  // namespace lowrank
