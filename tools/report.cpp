#include "report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace lowrank::tools {

std::string json_line(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string number(double value, int digits) { return fmt::format("{:.{}g}", value, digits); }

std::string seconds_text(double seconds) {
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

std::string shape_text(Index rows, Index cols) { return fmt::format("{} x {}", rows, cols); }

std::string size_text(Index bytes) {
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB"};
  double size = static_cast<double>(bytes) / 1024;
  if (size < 1) return fmt::format("{} bytes", bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < units.size(); ++unit) size /= 1024;
  return fmt::format("{:.{}f} {}", size, size < 10 ? 2 : 1, units[unit]);
}

std::string percent(double fraction) { return fmt::format("{:.4g} %", fraction * 100); }

namespace {

/// Characters as a terminal shows them: those of UTF-8 count once.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string table(const std::vector<std::string>& titles, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& title : titles) widths.push_back(width_of(title));
  for (const auto& row : rows)
    for (std::size_t j = 0; j < row.size(); ++j) widths[j] = std::max(widths[j], width_of(row[j]));
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    for (std::size_t j = 0; j < row.size(); ++j) text += std::string(2 + widths[j] - width_of(row[j]), ' ') + row[j];
    text += '\n';
  };
  add(titles);
  for (const auto& row : rows) add(row);
  return text;
}

std::string fields(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::size_t width = 0;
  for (const auto& [label, value] : lines) width = std::max(width, width_of(label));
  std::string text;
  for (const auto& [label, value] : lines)
    text += "  " + label + std::string(width - width_of(label) + 2, ' ') + value + "\n";
  return text;
}

}  // namespace lowrank::tools
