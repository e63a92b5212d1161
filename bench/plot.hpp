#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lowrank::bench {

struct Series {
  std::string label;  ///< equal labels get equal colours, and one entry of the legend
  bool dashed = false;
  std::vector<std::pair<double, double>> points{};  ///< x > 0 and y; those with y <= 0 are left out
};

/// Curves over a linear x axis from 0 and a logarithmic y axis.
struct Chart {
  std::string title, x_label, y_label;
  std::vector<Series> series{};
};

/// Charts in a grid of `columns`, with one legend for all, as an SVG that needs nothing from outside.
std::string charts_svg(const std::string& title, const std::vector<Chart>& charts, int columns);

}  // namespace lowrank::bench
