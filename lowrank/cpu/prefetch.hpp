#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank {

/// Asks for memory ahead, into the second-level cache, a few cache lines at each call.
class Prefetch {
 public:
  Prefetch() = default;
  /// All of A's entries.
  template <Real S>
  explicit Prefetch(MatrixView<const S> A)
      : at_(reinterpret_cast<const char*>(A.data())), pitch_(A.ld() * static_cast<Index>(sizeof(S))) {
    const bool by_rows = A.order() == Order::row_major;
    per_run_ = ((by_rows ? A.cols() : A.rows()) * static_cast<Index>(sizeof(S)) + 63) / 64;
    runs_ = by_rows ? A.rows() : A.cols();
  }

  /// All is to be asked for within so many calls of some().
  void spread(Index calls) { each_ = (runs_ * per_run_ + calls - 1) / calls; }
  void some() {
    for (Index i = 0; i < each_ && runs_ > 0; ++i) {
      __builtin_prefetch(at_ + done_ * 64, 0, 2);
      if (++done_ == per_run_) done_ = 0, at_ += pitch_, --runs_;
    }
  }

 private:
  const char* at_ = nullptr;
  Index pitch_ = 0, per_run_ = 0, runs_ = 0, done_ = 0, each_ = 0;
};

}  // namespace lowrank
