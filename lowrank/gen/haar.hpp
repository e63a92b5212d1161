#pragma once

#include <lowrank/core/matrix.hpp>
#include <lowrank/core/progress.hpp>

namespace lowrank {

/// Overwrites an m×k panel (m ≥ k, host, column-major) of independent standard normals with k orthonormal columns,
/// Haar-distributed: the columns of H₁·H₂···H_k·D, where the reflection H_j takes the Gaussian vector panel(j:m, j) to
/// a multiple of e_j and D = ±1 makes that multiple positive. The distribution is that of the Q of a Gaussian matrix's
/// QR with a positive diagonal of R, without computing the QR. ‖QᵀQ − I‖ is a small multiple of eps. The bits depend on
/// the panel alone, not on the number of threads. About 4·m·k² − 4/3·k³ flops (in products), m·64 doubles beside.
/// Throws std::invalid_argument for m < k or a view that is not column-major.
/// Source: Stewart 1980, The efficient generation of random orthogonal matrices, section 3; blocks by the compact WY
/// form of Schreiber and Van Loan 1989.
void haar_from_gaussian(MatrixView<double> panel, const ProgressCallback& progress = {});

}  // namespace lowrank
