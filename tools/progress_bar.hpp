#pragma once

#include <chrono>
#include <lowrank/core/progress.hpp>
#include <string>
#include <string_view>

namespace lowrank::tools {

/// A line on stderr that shows how far the work is, removed at the end. Appears only when the work lasts.
class ProgressBar {
 public:
  explicit ProgressBar(bool wanted) : wanted_(wanted), start_(Clock::now()) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `detail` stands behind the bar.
  void show(const Progress& progress, std::string_view detail = {});
  bool wanted() const { return wanted_; }
  void clear();
  /// Empty when no bar is wanted. The bar must outlive it.
  ProgressCallback callback();

 private:
  using Clock = std::chrono::steady_clock;

  bool wanted_, visible_ = false;
  Clock::time_point start_, last_{};
};

}  // namespace lowrank::tools
