#pragma once

#include <Eigen/SparseCore>
#include <lowrank/core/types.hpp>

namespace lowrank {

/// Sparse matrices are compressed rows with 64-bit indices (SciPy's CSR).
template <Real T>
using SparseMatrix = Eigen::SparseMatrix<T, Eigen::RowMajor, Index>;

}  // namespace lowrank
