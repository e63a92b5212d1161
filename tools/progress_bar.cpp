#include "progress_bar.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

namespace lowrank::tools {
namespace {

constexpr int width = 30;

std::string bar(double fraction) {
  const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width);
  return fmt::format("[{}{}] {:3.0f} %", std::string(static_cast<std::size_t>(full), '#'),
                     std::string(static_cast<std::size_t>(width - full), '.'), std::clamp(fraction, 0.0, 1.0) * 100);
}

}  // namespace

void ProgressBar::show(const Progress& progress, std::string_view detail) {
  using namespace std::chrono_literals;
  const auto now = Clock::now();
  if (!wanted_ || now - start_ < 300ms || (visible_ && now - last_ < 100ms)) return;
  last_ = now;
  visible_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string line = fmt::format("\r\x1b[K{:<24.24} {} {:.0f} s{}{}", progress.stage,
                                       progress.fraction >= 0 ? bar(progress.fraction) : std::string(), seconds,
                                       detail.empty() ? "" : ", ", detail);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
  visible_ = false;
}

ProgressCallback ProgressBar::callback() {
  if (!wanted_) return {};
  return [this](const Progress& progress) { show(progress); };
}

}  // namespace lowrank::tools
