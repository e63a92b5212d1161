#pragma once

#include <string>
#include <vector>

namespace lowrank::tools {

struct SpectrumPlot {
  std::string title;
  std::vector<double> kept;       ///< falling
  std::vector<double> discarded;  ///< those after them, where known
};

/// The singular values over their index, on a logarithmic axis, as an SVG that needs nothing from outside. The rank is
/// marked by a line, what is discarded drawn paler. Values below 1e-20 of the largest stand on the axis.
std::string spectrum_svg(const SpectrumPlot& plot);

}  // namespace lowrank::tools
