#pragma once

#include <locale.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <lowrank/core/types.hpp>
#include <string>
#include <string_view>

namespace lowrank {

/// The Inf or 0 (or denormal) that a number too large or too small for std::from_chars is rounded to; never by the
/// user's locale.
inline double beyond_range(std::string_view text) {
  static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
  return ::strtod_l(std::string(text).c_str(), nullptr, plain);
}

/// Reads the whole of `text` as a double; a leading '+', nan and inf (any case) are fine. Numbers beyond the range
/// become Inf or 0, as everywhere. False when it is no number.
inline bool parse_double(std::string_view text, double& value) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return false;
  if (error == std::errc::result_out_of_range) value = beyond_range(text);
  return true;
}

/// Whether `text`, read as `value`, is an integer that no double holds; such are beyond 2^53.
inline bool is_rounded_integer(std::string_view text, double value) {
  if (!(std::abs(value) >= 0x1p53)) return false;
  text.remove_prefix(std::min(text.find_first_not_of("+-0"), text.size()));
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  char digits[400];  // the largest double has 309
  const auto end = std::to_chars(digits, digits + sizeof digits, std::abs(value), std::chars_format::fixed).ptr;
  return text != std::string_view(digits, static_cast<std::size_t>(end - digits));
}

/// Appends the shortest text that reads back as the same number.
template <class Number>
void append_number(std::string& to, Number value) {
  char digits[32];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  to.append(digits, result.ptr);
}

}  // namespace lowrank
