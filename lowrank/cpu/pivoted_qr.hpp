#pragma once

#include <lowrank/core/primitives.hpp>

namespace lowrank {

/// QR with column pivoting in blocks of `block` columns, as pivoted_qr() describes it for large matrices.
template <Real T>
PivotedQr<T> sketched_pivoted_qr(MatrixView<const T> A, double tolerance, Index block);

/// By LAPACK's geqp3.
template <Real T>
PivotedQr<T> lapack_pivoted_qr(MatrixView<const T> A, double tolerance);

}  // namespace lowrank
