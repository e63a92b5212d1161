#pragma once

#include <lowrank/core/primitives.hpp>
#include <lowrank/cuda/context.hpp>
#include <lowrank/cuda/kernels.hpp>

namespace lowrank::cuda {

class CudaDevice;

/// The primitives on a GPU. cuda_products.cpp holds what goes to cuBLAS, cuda_factorizations.cpp what goes to cuSOLVER,
/// cuda_elementwise.cpp the kernels over entries.
template <Real T>
class CudaPrimitives final : public Primitives<T> {
 public:
  explicit CudaPrimitives(CudaDevice& device) : device_(device) {}

  void multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) const override;
  bool multiplies_rounded(Rounding to) const override;
  void multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X,
                        MatrixView<float> C) const override;
  Matrix<double> gram(MatrixView<const T> X) const override;
  void solve_upper_right(MatrixView<T> X, MatrixView<const double> R) const override;
  Matrix<double> householder_qr(MatrixView<T> X) const override;
  PivotedQr<T> pivoted_qr(MatrixView<const T> A, double tolerance) const override;
  std::optional<Matrix<double>> upper_inverse(MatrixView<const T> R) const override;
  std::optional<LuFactors> lu_in_float(MatrixView<const T> A, double scale) const override;
  void lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) const override;
  ThinSvd<T> thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const override;
  double frobenius_norm(MatrixView<const T> X) const override;
  std::vector<double> column_norms(MatrixView<const T> X) const override;
  std::optional<Entry> first_nonfinite(MatrixView<const T> X) const override;
  std::vector<Entry> largest_in_columns(MatrixView<const T> X) const override;
  void scale_columns(MatrixView<T> X, const std::vector<double>& by) const override;
  void add(T alpha, MatrixView<const T> X, MatrixView<T> Y) const override;
  void copy(MatrixView<const T> from, MatrixView<T> to) const override;
  void fill(MatrixView<T> X, T value) const override;
  void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) const override;

 private:
  Context& context() const;
  /// The SVD where there are many more rows than columns.
  ThinSvd<T> tall_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const;
  /// Norms of the columns; those of a transposed view are norms of rows.
  std::vector<double> norms(MatrixView<const T> X) const;

  CudaDevice& device_;
};

template <class T>
Strided<T> strided(const MatrixView<T>& X) {
  const bool columns = X.order() == Order::col_major;
  return {X.data(), X.rows(), X.cols(), columns ? 1 : X.ld(), columns ? X.ld() : 1};
}

/// C = alpha·A·B + beta·C by cuBLAS for views of any order; A has columns. With `tf32` float factors may be rounded.
template <Real T>
void gemm(const Context& context, T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C,
          bool tf32 = false);

}  // namespace lowrank::cuda
