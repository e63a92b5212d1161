#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank {

/// ‖X - L·R‖_F² for a large X and few columns of L: tiles of the difference are formed, squared and forgotten, and X is
/// read once. Sums of squares in double, not scaled: beyond its range they are 0, Inf or NaN.
template <Real T>
double panel_difference_squared(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R);

/// Whether that is the faster way.
template <Real T>
bool panel_difference_suits(MatrixView<const T> X, Index inner);

}  // namespace lowrank
