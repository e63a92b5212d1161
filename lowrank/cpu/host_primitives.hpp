#pragma once

#include <lowrank/core/primitives.hpp>

namespace lowrank {

/// The primitives on the CPU. blas_primitives.cpp holds what goes to OpenBLAS and LAPACKE, pivoted_qr.cpp
/// and lu.cpp factorizations in blocks, thin_svd.cpp the SVD drivers, elementwise.cpp the loops over entries.
template <Real T>
class HostPrimitives final : public Primitives<T> {
 public:
  void multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) const override;
  bool multiplies_rounded(Rounding to) const override;
  void multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X,
                        MatrixView<float> C) const override;
  bool fuses_normal(MatrixView<const T> A, Index columns, bool rounded) const override;
  void multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const override;
  void multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                               MatrixView<float> Z) const override;
  Matrix<double> gram(MatrixView<const T> X) const override;
  void solve_upper_right(MatrixView<T> X, MatrixView<const double> R) const override;
  Matrix<double> householder_qr(MatrixView<T> X) const override;
  PivotedQr<T> pivoted_qr(MatrixView<const T> A, double tolerance) const override;
  std::optional<Matrix<double>> upper_inverse(MatrixView<const T> R) const override;
  std::optional<LuFactors> lu_in_float(MatrixView<const T> A, double scale) const override;
  void lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) const override;
  ThinSvd<T> thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const override;
  double frobenius_norm(MatrixView<const T> X) const override;
  double difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) const override;
  std::vector<double> column_norms(MatrixView<const T> X) const override;
  std::optional<Entry> first_nonfinite(MatrixView<const T> X) const override;
  std::vector<Entry> largest_in_columns(MatrixView<const T> X) const override;
  void scale_columns(MatrixView<T> X, const std::vector<double>& by) const override;
  void add(T alpha, MatrixView<const T> X, MatrixView<T> Y) const override;
  void copy(MatrixView<const T> from, MatrixView<T> to) const override;
  void fill(MatrixView<T> X, T value) const override;
  void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) const override;
};

}  // namespace lowrank
