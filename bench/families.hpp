#pragma once

#include <lowrank/core/matrix.hpp>
#include <string>
#include <vector>

namespace lowrank::bench {

struct FamilyInfo {
  std::string name, description;
};

/// The families of matrices, those with a random spectrum first, then the named ones.
std::vector<FamilyInfo> families();

/// Names of families with "spectra", "named" and "all" replaced by what they stand for; file:PATH is a matrix from a
/// file. Throws std::invalid_argument for an unknown name.
std::vector<std::string> expand_families(const std::vector<std::string>& names);

template <Real T>
struct TestMatrix {
  Matrix<T> A;
  double norm = 0;  ///< ‖A‖_F
  /// Singular values, all of them: exact ones from the construction, or by LAPACK in double.
  std::vector<double> sigma;

  /// √(Σ_{i>k} σᵢ²) / ‖A‖_F: the relative error that no rank-k approximation can beat.
  double optimum(Index k) const;
};

/// rows×cols where the family has no size of its own.
template <Real T>
TestMatrix<T> make_matrix(const std::string& family, Index rows, Index cols, std::uint64_t seed);

/// The first `terms` values 0.97^i, then 0, plus noise 1e-3: what a trained layer looks like.
template <Real T>
TestMatrix<T> make_decaying(Index rows, Index cols, Index terms, std::uint64_t seed);

/// ‖A - U·diag(S)·Vᵀ‖_F / ‖A‖_F, formed in double block by block, by itself: no number of the library's own
/// certificate goes into it.
template <Real T>
double measured_error(MatrixView<const T> A, MatrixView<const T> U, const T* S, MatrixView<const T> V, double norm);

}  // namespace lowrank::bench
