#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank::panel {

/// C = alpha·S + beta·C for a tile of sums in either order.
template <Real T>
void store_tile(T alpha, MatrixView<const T> S, T beta, MatrixView<T> C) {
  const bool by_rows = C.order() == Order::row_major, along = S.order() == C.order();
  const Index lines = by_rows ? C.rows() : C.cols(), length = by_rows ? C.cols() : C.rows();
  for (Index l = 0; l < lines; ++l) {
    T* line = C.data() + l * C.ld();
    const T* sums = S.data() + (along ? l * S.ld() : l);
    const Index step = along ? 1 : S.ld();
    // Loops of their own, so that those over contiguous sums become vectors.
    if (beta == T(0) && step == 1)
      for (Index i = 0; i < length; ++i) line[i] = alpha * sums[i];
    else if (beta == T(0))
      for (Index i = 0; i < length; ++i) line[i] = alpha * sums[i * step];
    else if (step == 1)
      for (Index i = 0; i < length; ++i) line[i] = alpha * sums[i] + beta * line[i];
    else
      for (Index i = 0; i < length; ++i) line[i] = alpha * sums[i * step] + beta * line[i];
  }
}

}  // namespace lowrank::panel
