#pragma once

#include <lowrank/core/sparse.hpp>
#include <lowrank/core/view.hpp>
#include <optional>

#include "progress_bar.hpp"

namespace lowrank::tools {

/// What info says of the entries. Extremes leave NaN out and are absent when there is nothing else; the norm is absent
/// where an entry is not finite.
struct Statistics {
  Index entries = 0, stored = 0;  ///< stored: fewer than the entries in a sparse matrix
  Index zeros = 0, nan = 0, inf = 0;
  std::optional<double> min = {}, max = {}, frobenius_norm = {};
};

/// One sweep from front to back.
template <Real T>
Statistics statistics(MatrixView<const T> A, ProgressBar& bar);

template <Real T>
Statistics statistics(const SparseMatrix<T>& A, ProgressBar& bar);

}  // namespace lowrank::tools
