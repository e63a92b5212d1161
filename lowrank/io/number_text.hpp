#pragma once

#include <locale.h>

#include <charconv>
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

/// Appends the shortest text that reads back as the same number.
template <class Number>
void append_number(std::string& to, Number value) {
  char digits[32];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  to.append(digits, result.ptr);
}

}  // namespace lowrank
