#include "plot.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace lowrank::tools {
namespace {

constexpr double width = 860, height = 480, left = 80, right = 24, top = 56, bottom = 60;
constexpr const char* ink = "#1f2933";
constexpr const char* grid = "#e1e5ea";
constexpr const char* kept_tone = "#1264a3";
constexpr const char* discarded_tone = "#a9b4c0";
constexpr const char* rank_tone = "#c2410c";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '&')
      result += "&amp;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      result += c;
  }
  return result;
}

/// 1, 2 or 5 times a power of ten, so that about `wanted` steps make up the range.
double nice_step(double range, double wanted) {
  const double raw = range / wanted, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

struct Axes {
  double low, high;  ///< log10 of the ends of the y axis
  double count;      ///< singular values on the x axis

  double x(double index) const { return left + (width - left - right) * (index - 0.5) / std::max(1.0, count); }
  double y(double value) const {
    const double place = value > 0 ? std::clamp((std::log10(value) - low) / (high - low), 0.0, 1.0) : 0.0;
    return height - bottom - (height - top - bottom) * place;
  }
};

Axes axes_of(const SpectrumPlot& plot) {
  double largest = 0, smallest = HUGE_VAL;
  for (const auto* part : {&plot.kept, &plot.discarded})
    for (const double s : *part) largest = std::max(largest, s);
  for (const auto* part : {&plot.kept, &plot.discarded})
    for (const double s : *part)
      if (s > largest * 1e-20) smallest = std::min(smallest, s);
  Axes axes{-1, 0, static_cast<double>(plot.kept.size() + plot.discarded.size())};
  if (largest == 0) return axes;
  axes.low = std::log10(smallest), axes.high = std::log10(largest);
  const double margin = std::max(0.05 * (axes.high - axes.low), 0.02);
  axes.low -= margin, axes.high += margin;
  return axes;
}

std::string y_tick(const Axes& axes, double value, const std::string& label) {
  const double y = axes.y(value);
  return fmt::format(
      "<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n"
      "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
      left, y, width - right, y, grid, left - 8, y + 4, label);
}

std::string y_ticks(const Axes& axes) {
  std::string svg;
  const double range = axes.high - axes.low;
  if (range >= 2) {
    const double step = std::max(1.0, std::ceil(range / 9));
    for (double power = std::ceil(axes.low / step) * step; power <= axes.high; power += step)
      svg += y_tick(axes, std::pow(10.0, power),
                    fmt::format("10<tspan dy=\"-5\" font-size=\"10\">{}</tspan>", static_cast<int>(power)));
    return svg;
  }
  const double from = std::pow(10.0, axes.low), to = std::pow(10.0, axes.high), step = nice_step(to - from, 6);
  for (double i = std::ceil(from / step); i * step <= to; ++i)
    svg += y_tick(axes, i * step, fmt::format("{:.4g}", i * step));
  return svg;
}

std::string x_ticks(const Axes& axes) {
  std::string svg;
  const double step = std::max(1.0, nice_step(std::max(1.0, axes.count), 9));
  for (double i = step <= 2 ? step : 0; i <= axes.count; i += step) {
    const double index = std::max(1.0, i);
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"{3}\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{4}\" text-anchor=\"middle\">{5:.0f}</text>\n",
        axes.x(index), height - bottom, height - bottom + 5, ink, height - bottom + 20, index);
  }
  return svg;
}

/// A curve, with a dot for each value while they can be told apart.
std::string curve(const Axes& axes, const std::vector<double>& values, std::size_t first, const char* tone) {
  if (values.empty()) return {};
  std::string points, dots;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = axes.x(static_cast<double>(first + i + 1)), y = axes.y(values[i]);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    if (axes.count <= 150)
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x, y, tone);
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", points, tone) + dots;
}

std::string rank_mark(const Axes& axes, std::size_t rank) {
  const double x = axes.x(static_cast<double>(rank) + 0.5);
  const bool to_the_left = x > width - 140;
  return fmt::format(
      "<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"{3}\" stroke-dasharray=\"5 4\"/>\n"
      "<text x=\"{4:.1f}\" y=\"{5}\" text-anchor=\"{6}\" fill=\"{3}\" font-weight=\"bold\">rank {7}</text>\n",
      x, top, height - bottom, rank_tone, to_the_left ? x - 7 : x + 7, top + 16, to_the_left ? "end" : "start", rank);
}

std::string legend(const SpectrumPlot& plot) {
  std::string svg;
  double x = width - right - 190;
  const auto entry = [&](const char* tone, const char* label) {
    svg += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"4\" fill=\"{}\"/>\n<text x=\"{}\" y=\"{}\">{}</text>\n", x,
                       height - 16, tone, x + 10, height - 12, label);
    x += 80;
  };
  if (!plot.kept.empty()) entry(kept_tone, "kept");
  if (!plot.discarded.empty()) entry(discarded_tone, "discarded");
  return svg;
}

}  // namespace

std::string spectrum_svg(const SpectrumPlot& plot) {
  const Axes axes = axes_of(plot);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{2}\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
      "<text x=\"{3}\" y=\"30\" font-size=\"15\" font-weight=\"bold\">{4}</text>\n",
      width, height, ink, left, escaped(plot.title));
  svg += y_ticks(axes) + x_ticks(axes);
  svg += fmt::format("<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"{4}\"/>\n", left, top, height - bottom,
                     width - right, ink);
  svg += curve(axes, plot.discarded, plot.kept.size(), discarded_tone);
  svg += curve(axes, plot.kept, 0, kept_tone);
  svg += rank_mark(axes, plot.kept.size()) + legend(plot);
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">index</text>\n"
      "<text transform=\"translate(22 {}) rotate(-90)\" text-anchor=\"middle\">singular value</text>\n</svg>\n",
      (left + width - right) / 2, height - 16, (top + height - bottom) / 2);
  return svg;
}

}  // namespace lowrank::tools
