#pragma once

#include <lowrank/core/primitives.hpp>
#include <vector>

/// SVDs of cores: op(A)·X = Y·core for bases X and Y in T. In float the core itself is good to float's precision, and
/// the eigenvalues of coreᵀ·core, in double, are enough and take half the time.

namespace lowrank {

/// The singular values, in falling order: those of a core in float up to an eps of float times the largest.
template <Real T>
std::vector<double> core_values(MatrixView<const double> core);

/// core = U·diag(S)·Vᵀ.
struct CoreSvd {
  Matrix<double> U;
  std::vector<double> S;
  Matrix<double> V;
};

/// At least the `count` leading triplets.
template <Real T>
CoreSvd core_svd(MatrixView<const double> core, Index count);

}  // namespace lowrank
