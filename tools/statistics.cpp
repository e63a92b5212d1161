#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/core/primitives.hpp>

namespace lowrank::tools {
namespace {

struct Counts {
  double min = std::numeric_limits<double>::infinity(), max = -std::numeric_limits<double>::infinity();
  Index zeros = 0, nan = 0, inf = 0;
};

template <Real T>
void count(const T* entries, Index length, Counts& counts) {
  T low = std::numeric_limits<T>::infinity(), high = -low;
  Index zeros = 0, nan = 0, inf = 0;
  for (Index i = 0; i < length; ++i) {
    const T x = entries[i];
    zeros += x == 0;
    nan += x != x;
    inf += std::abs(x) == std::numeric_limits<T>::infinity();
    low = x < low ? x : low;
    high = x > high ? x : high;
  }
  counts.min = std::min(counts.min, static_cast<double>(low));
  counts.max = std::max(counts.max, static_cast<double>(high));
  counts.zeros += zeros, counts.nan += nan, counts.inf += inf;
}

}  // namespace

template <Real T>
Statistics statistics(MatrixView<const T> A, ProgressBar& bar) {
  // The entries as lines of storage; a block of them stays in the cache between counting and the norm.
  const MatrixView<const T> lines = A.order() == Order::row_major ? A.transposed() : A;
  const Index block =
      std::clamp<Index>((Index{1} << 17) / std::max<Index>(1, lines.rows()), 1, std::max<Index>(1, lines.cols()));
  Counts counts;
  double norm = 0;
  for (Index first = 0; first < lines.cols() && !lines.empty(); first += block) {
    const auto part = lines.middle_cols(first, std::min(block, lines.cols() - first));
    for (Index j = 0; j < part.cols(); ++j) count(part.data() + j * part.ld(), part.rows(), counts);
    if (counts.nan + counts.inf == 0) norm = std::hypot(norm, frobenius_norm<T>(part));
    bar.show({"reading", static_cast<double>(first) / static_cast<double>(lines.cols())});
  }
  Statistics result{
      .entries = A.size(), .stored = A.size(), .zeros = counts.zeros, .nan = counts.nan, .inf = counts.inf};
  if (counts.nan < A.size()) {
    result.min = counts.min;
    result.max = counts.max;
  }
  if (counts.nan + counts.inf == 0) result.frobenius_norm = norm;
  return result;
}

template <Real T>
Statistics statistics(const SparseMatrix<T>& A, ProgressBar& bar) {
  const Index stored = A.nonZeros();
  Statistics result = statistics<T>(MatrixView<const T>(A.valuePtr(), stored, 1, std::max<Index>(1, stored)), bar);
  result.entries = checked_product(A.rows(), A.cols());
  const Index implicit = result.entries - stored;
  result.zeros += implicit;
  if (implicit > 0) {
    result.min = std::min(0.0, result.min.value_or(0));
    result.max = std::max(0.0, result.max.value_or(0));
  }
  return result;
}

template Statistics statistics(MatrixView<const float>, ProgressBar&);
template Statistics statistics(MatrixView<const double>, ProgressBar&);
template Statistics statistics(const SparseMatrix<float>&, ProgressBar&);
template Statistics statistics(const SparseMatrix<double>&, ProgressBar&);

}  // namespace lowrank::tools
