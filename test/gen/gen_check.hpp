#pragma once

#include <check.hpp>
#include <cstring>

/// What the tests of gen measure beside check.hpp.

namespace gen_check {

using check::contains;
using check::refusal;
using check::Threads;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;

template <class T>
Matrix<double> widened(const Matrix<T>& X) {
  return lowrank::to_double<T>(X);
}

/// ‖QᵀQ − I‖ / (eps·m).
inline double orthogonality_ratio(const Matrix<double>& Q) {
  return check::orthogonality_ratio<double>(check::dense(Q));
}

/// max|σ(A) − sigma| / (eps·max(m, n)·‖A‖), eps that of T, σ(A) computed in double.
template <class T>
double spectrum_ratio(const Matrix<T>& A, std::vector<double> sigma) {
  const std::vector<double> found = check::singular_values(check::dense(A));
  sigma.resize(found.size());
  double worst = 0;
  for (std::size_t i = 0; i < sigma.size(); ++i) worst = std::max(worst, std::abs(sigma[i] - found[i]));
  return worst / (static_cast<double>(check::eps<T>) * static_cast<double>(std::max(A.rows(), A.cols())) * found[0]);
}

template <class T>
bool same_bits(const Matrix<T>& A, const Matrix<T>& B) {
  return A.rows() == B.rows() && A.cols() == B.cols() &&
         (A.empty() || std::memcmp(A.data(), B.data(), static_cast<std::size_t>(A.size()) * sizeof(T)) == 0);
}

}  // namespace gen_check
