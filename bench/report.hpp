#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "timing.hpp"

namespace lowrank::bench {

using Json = nlohmann::ordered_json;

/// A Markdown table with padded cells: readable on a terminal, ready to paste.
class Table {
 public:
  explicit Table(std::vector<std::string> titles) : rows_{std::move(titles)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// "12.3 ms", "4.56 s".
std::string seconds_text(double seconds);
/// "12.3 ms (11.9 - 14.0)": the median, the least and the greatest.
std::string samples_text(const Samples& samples);
std::string percent_text(double fraction);
std::string shape_text(Index rows, Index cols);
/// How far an error is above the optimum it cannot beat; "rounding" where the optimum is below what `eps` lets
/// anything reach.
std::string excess_text(double error, double optimum, double eps);

Json as_json(const Samples& samples);

/// Whole or not at all. Throws Error when it cannot be written.
void write_file(const std::string& path, const std::string& content);

}  // namespace lowrank::bench
