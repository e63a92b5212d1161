#include "plot.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace lowrank::bench {
namespace {

constexpr double cell_width = 330, cell_height = 240, left = 62, right = 12, top = 30, bottom = 44, header = 72;
constexpr const char* ink = "#1f2933";
constexpr const char* grid = "#e1e5ea";
// Okabe and Ito's colours, told apart by the colour-blind too.
constexpr const char* tones[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"};
constexpr const char* dashed_tones[] = {"#1f2933", "#7b8794"};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return result;
}

/// The distinct series of all charts, in order of appearance, with a colour each.
struct Legend {
  struct Entry {
    std::string label, tone;
    bool dashed;
  };
  std::vector<Entry> entries{};

  const Entry& of(const Series& series) {
    for (const Entry& entry : entries)
      if (entry.label == series.label) return entry;
    const auto same = static_cast<std::size_t>(std::count_if(
        entries.begin(), entries.end(), [&](const Entry& entry) { return entry.dashed == series.dashed; }));
    const char* tone = series.dashed ? dashed_tones[same % std::size(dashed_tones)] : tones[same % std::size(tones)];
    return entries.emplace_back(Entry{series.label, tone, series.dashed});
  }
};

struct Axes {
  double x0, y0, x_most, low, high;  ///< corner of the cell; low and high are log10

  double x(double value) const { return x0 + left + (cell_width - left - right) * value / x_most; }
  double y(double value) const {
    return y0 + cell_height - bottom - (cell_height - top - bottom) * (std::log10(value) - low) / (high - low);
  }
};

Axes axes_of(const Chart& chart, double x0, double y0) {
  double x_most = 0, least = HUGE_VAL, most = 0;
  for (const Series& series : chart.series)
    for (const auto& [x, y] : series.points) {
      x_most = std::max(x_most, x);
      if (y <= 0) continue;
      least = std::min(least, y), most = std::max(most, y);
    }
  if (most == 0) least = 0.1, most = 1;
  double low = std::log10(least), high = std::log10(most);
  const double margin = std::max(0.08 * (high - low), 0.1);
  low -= margin, high += margin;
  return {x0, y0, x_most > 0 ? 1.04 * x_most : 1, low, high};
}

std::string y_tick(const Axes& axes, double value, const std::string& label) {
  const double y = axes.y(value);
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n"
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
      axes.x0 + left, y, axes.x0 + cell_width - right, y, grid, axes.x0 + left - 6, y + 4, label);
}

std::string y_ticks(const Axes& axes) {
  std::string svg;
  const double range = axes.high - axes.low;
  const double step = std::max(1.0, std::ceil(range / 5));
  // Within two decades the powers of ten alone are too few.
  const std::vector<double> factors = range > 2     ? std::vector<double>{1}
                                      : range > 0.7 ? std::vector<double>{1, 2, 5}
                                                    : std::vector<double>{1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9};
  for (double power = std::floor(axes.low / step) * step; power <= axes.high; power += step)
    for (const double factor : factors) {
      const double place = power + std::log10(factor);
      if (place < axes.low || place > axes.high) continue;
      svg += y_tick(axes, std::pow(10.0, place), fmt::format("{:.3g}", factor * std::pow(10.0, power)));
    }
  return svg;
}

std::string x_ticks(const Axes& axes) {
  std::string svg;
  const double raw = axes.x_most / 5, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= raw) step = factor * power;
  for (double value = 0; value <= axes.x_most; value += step)
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{4:.1f}\" text-anchor=\"middle\">{5:.3g}</text>\n",
        axes.x(value), axes.y0 + cell_height - bottom, axes.y0 + cell_height - bottom + 4, ink,
        axes.y0 + cell_height - bottom + 16, value);
  return svg;
}

std::string curve(const Axes& axes, const Series& series, const Legend::Entry& style) {
  std::string points, dots;
  for (const auto& [x, y] : series.points) {
    if (y <= 0) continue;
    points += fmt::format("{:.1f},{:.1f} ", axes.x(x), axes.y(y));
    if (!series.dashed)
      dots +=
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", axes.x(x), axes.y(y), style.tone);
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}/>\n", points,
                     style.tone, series.dashed ? 1.5 : 2, series.dashed ? " stroke-dasharray=\"5 4\"" : "") +
         dots;
}

std::string chart_svg(const Chart& chart, double x0, double y0, Legend& legend) {
  const Axes axes = axes_of(chart, x0, y0);
  std::string svg = fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-weight=\"bold\">{}</text>\n", x0 + left,
                                y0 + top - 10, escaped(chart.title));
  svg += y_ticks(axes) + x_ticks(axes);
  svg += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\" fill=\"none\" stroke=\"{4}\"/>\n", x0 + left,
                     y0 + top, y0 + cell_height - bottom, x0 + cell_width - right, ink);
  for (const Series& series : chart.series) svg += curve(axes, series, legend.of(series));
  svg += fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n"
      "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
      x0 + (left + cell_width - right) / 2, y0 + cell_height - 10, escaped(chart.x_label), x0 + 12,
      y0 + (top + cell_height - bottom) / 2, escaped(chart.y_label));
  return svg;
}

std::string legend_svg(const Legend& legend) {
  std::string svg;
  double x = left;
  for (const auto& entry : legend.entries) {
    svg += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"52\" x2=\"{:.1f}\" y2=\"52\" stroke=\"{}\" stroke-width=\"2\"{}/>\n"
        "<text x=\"{:.1f}\" y=\"56\">{}</text>\n",
        x, x + 24, entry.tone, entry.dashed ? " stroke-dasharray=\"5 4\"" : "", x + 30, escaped(entry.label));
    x += 52 + 7 * static_cast<double>(entry.label.size());
  }
  return svg;
}

}  // namespace

std::string charts_svg(const std::string& title, const std::vector<Chart>& charts, int columns) {
  const int lines = (static_cast<int>(charts.size()) + columns - 1) / columns;
  const double width = cell_width * columns, height = header + cell_height * lines;
  Legend legend;
  std::string body;
  for (std::size_t i = 0; i < charts.size(); ++i) {
    const int place = static_cast<int>(i);
    body += chart_svg(charts[i], cell_width * (place % columns), header + cell_height * (place / columns), legend);
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
             "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\" fill=\"{2}\">\n"
             "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
             "<text x=\"{3}\" y=\"28\" font-size=\"15\" font-weight=\"bold\">{4}</text>\n",
             width, height, ink, left, escaped(title)) +
         legend_svg(legend) + body + "</svg>\n";
}

}  // namespace lowrank::bench
