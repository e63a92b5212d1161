#include "report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/io/atomic_file.hpp>

namespace lowrank::bench {

void Table::print() const {
  std::vector<std::size_t> widths(rows_.front().size(), 3);
  for (const auto& row : rows_)
    for (std::size_t j = 0; j < row.size(); ++j) widths[j] = std::max(widths[j], row[j].size());
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    for (std::size_t j = 0; j < rows_[i].size(); ++j) fmt::print("| {:<{}} ", rows_[i][j], widths[j]);
    fmt::print("|\n");
    if (i > 0) continue;
    for (const std::size_t width : widths) fmt::print("|{}", std::string(width + 2, '-'));
    fmt::print("|\n");
  }
  std::fflush(stdout);
}

std::string seconds_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

std::string samples_text(const Samples& samples) {
  if (samples.count() == 1) return seconds_text(samples.median());
  return fmt::format("{} ({} - {})", seconds_text(samples.median()), seconds_text(samples.least()),
                     seconds_text(samples.greatest()));
}

std::string percent_text(double fraction) { return fmt::format("{:.0f} %", 100 * fraction); }

std::string shape_text(Index rows, Index cols) { return fmt::format("{}x{}", rows, cols); }

std::string excess_text(double error, double optimum, double eps) {
  if (optimum < 100 * eps) return error < 1000 * eps ? "rounding" : fmt::format("above rounding by {:.1e}", error);
  const double excess = 100 * (error / optimum - 1);
  return fmt::format("{:.3f} %", std::abs(excess) < 5e-4 ? 0.0 : excess);
}

Json as_json(const Samples& samples) {
  return {
      {"median", samples.median()}, {"min", samples.least()}, {"max", samples.greatest()}, {"runs", samples.count()}};
}

void write_file(const std::string& path, const std::string& content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace lowrank::bench
