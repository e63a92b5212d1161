#pragma once

#include <lowrank/core/matrix.hpp>

namespace lowrank {

/// XᵀX in double, for at most a few hundred columns: m·k² multiplications and additions. Rows are cut where their
/// number alone says: the result does not depend on the number of threads.
template <Real T>
Matrix<double> host_gram(MatrixView<const T> X);

}  // namespace lowrank
