#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/gram.hpp>
#include <lowrank/cpu/host_primitives.hpp>
#include <lowrank/cpu/panel_amx.hpp>
#include <lowrank/cpu/panel_bfloat16.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <lowrank/cpu/panel_normal.hpp>

namespace lowrank {
namespace {

CBLAS_ORDER cblas_order(Order order) { return order == Order::col_major ? CblasColMajor : CblasRowMajor; }

/// C = alpha·A·x + beta·C for A by rows and one column. Rows are cut here, always alike, since OpenBLAS cuts them by
/// the number of threads, and that shows in the sums.
template <Real T>
void multiply_vector(T alpha, MatrixView<const T> A, MatrixView<const T> x, T beta, MatrixView<T> C) {
  constexpr Index block = 32;
  const auto step = [](const auto& vector) { return vector.order() == Order::col_major ? Index{1} : vector.ld(); };
  const int cols = blas_int(A.cols()), lda = blas_int(A.ld());
  const int step_x = blas_int(step(x)), step_c = blas_int(step(C));
  const ScopedThreads scope(1);
#pragma omp parallel for schedule(static) num_threads(scope.before())
  for (Index i = 0; i < A.rows(); i += block)
    blas::gemv(CblasRowMajor, CblasNoTrans, static_cast<int>(std::min(block, A.rows() - i)), cols, alpha,
               A.data() + i * A.ld(), lda, x.data(), step_x, beta, C.data() + i * step(C), step_c);
}

/// Depth of a slice: at least what a cache holds, and so much that the slices' products take little memory.
constexpr Index kSlice = 1024;
Index slice_depth(Index depth) {
  constexpr Index most_slices = 64;
  return (depth + most_slices * kSlice - 1) / (most_slices * kSlice) * kSlice;
}

/// Whether A has few rows and they are long: A·B is then a product like QᵀY of two panels.
template <Real T>
bool is_deep(MatrixView<const T> A, MatrixView<const T> B) {
  return A.order() == Order::row_major && A.rows() <= 256 && A.cols() >= 2048 && A.cols() >= 8 * A.rows() &&
         panel_multiply_suits<T>(A.left_cols(kSlice), B.middle_rows(0, kSlice));
}

/// C = alpha·A·B + beta·C for such an A: by slices of the depth, each by one thread.
template <Real T>
void multiply_deep(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) {
  const Index deep = slice_depth(A.cols()), slices = (A.cols() + deep - 1) / deep;
  std::vector<Matrix<T>> parts(static_cast<std::size_t>(slices));
#pragma omp parallel for schedule(dynamic)
  for (Index s = 0; s < slices; ++s) {
    const Index first = s * deep, count = std::min(deep, A.cols() - first);
    Matrix<T>& part = parts[static_cast<std::size_t>(s)] = Matrix<T>(C.rows(), C.cols());
    panel_multiply<T, T>(alpha, A.middle_cols(first, count), B.middle_rows(first, count), 0, part);
  }
  for (Index j = 0; j < C.cols(); ++j)
    for (Index i = 0; i < C.rows(); ++i) {
      T sum = beta == T(0) ? T(0) : beta * C(i, j);
      for (const Matrix<T>& part : parts) sum += part(i, j);
      C(i, j) = sum;
    }
}

/// By panel_multiply or OpenBLAS.
template <Real T>
void multiply_ordinary(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) {
  if (is_deep(A, B)) return multiply_deep(alpha, A, B, beta, C);
  if (panel_multiply_suits<T>(A, B)) return panel_multiply<T, T>(alpha, A, B, beta, C);
  // As a product of matrices OpenBLAS would copy A.
  if (C.cols() == 1 && A.order() == Order::row_major && A.size() >= 65536) return multiply_vector(alpha, A, B, beta, C);
  const auto transposed = [&](const MatrixView<const T>& X) {
    return X.order() == C.order() ? CblasNoTrans : CblasTrans;
  };
  blas::gemm(cblas_order(C.order()), transposed(A), transposed(B), blas_int(C.rows()), blas_int(C.cols()),
             blas_int(A.cols()), alpha, A.data(), blas_int(A.ld()), B.data(), blas_int(B.ld()), beta, C.data(),
             blas_int(C.ld()));
}

}  // namespace

template <Real T>
void HostPrimitives<T>::multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) const {
  if (A.cols() == 0) {
    for (Index j = 0; j < C.cols(); ++j)
      for (Index i = 0; i < C.rows(); ++i) C(i, j) = beta == T(0) ? T(0) : beta * C(i, j);
    return;
  }
  if constexpr (std::is_same_v<T, float>)
    if (amx::suits<float>(A, B)) {
      for (const amx::Rows& rows : amx::multiply<float>(alpha, A, B, beta, C))
        multiply_ordinary<T>(alpha, A.middle_rows(rows.first, rows.count), B, beta,
                             C.middle_rows(rows.first, rows.count));
      return;
    }
  multiply_ordinary<T>(alpha, A, B, beta, C);
}

template <Real T>
bool HostPrimitives<T>::multiplies_rounded(Rounding to) const {
  // Passes of a float matrix in bfloat16 would spare no more than the product and the certificate that follow cost.
  if (std::is_same_v<T, float> || to == Rounding::to_tf32) return false;
  return to == Rounding::to_bfloat16 ? bfloat16::faster_unit().has_value() : panel_multiply_is_vectorized();
}

template <Real T>
void HostPrimitives<T>::multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X,
                                         MatrixView<float> C) const {
  if (!multiplies_rounded(to)) return Primitives<T>::multiply_rounded(to, A, X, C);
  if constexpr (std::is_same_v<T, double>) {
    if (to == Rounding::to_bfloat16) return bfloat16::multiply(*bfloat16::faster_unit(), A, X, C);
    if (!amx::suits<double>(A, X)) return panel_multiply<double, float>(1, A, X, 0, C);
    for (const amx::Rows& rows : amx::multiply<double>(1, A, X, 0, C))
      panel_multiply<double, float>(1, A.middle_rows(rows.first, rows.count), X, 0,
                                    C.middle_rows(rows.first, rows.count));
  }
}

template <Real T>
bool HostPrimitives<T>::fuses_normal(MatrixView<const T> A, Index columns, bool rounded) const {
  return rounded ? panel_normal_suits<T, float>(A, columns) : panel_normal_suits<T, T>(A, columns);
}

template <Real T>
void HostPrimitives<T>::multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y,
                                        MatrixView<T> Z) const {
  if (!fuses_normal(A, X.cols(), false)) return Primitives<T>::multiply_normal(A, X, Y, Z);
  panel_multiply_normal<T, T>(A, X, Y, Z);
}

template <Real T>
void HostPrimitives<T>::multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                                                MatrixView<float> Z) const {
  if (!fuses_normal(A, X.cols(), true)) return Primitives<T>::multiply_normal_rounded(A, X, Y, Z);
  panel_multiply_normal<T, float>(A, X, Y, Z);
}

template <Real T>
Matrix<double> HostPrimitives<T>::gram(MatrixView<const T> X) const {
  const Index k = X.cols();
  // Beyond, the sums of wide panels leave the caches, and OpenBLAS is the faster.
  constexpr Index most_columns = 160;
  if (k <= most_columns) return host_gram<T>(X);
  Matrix<double> G(k, k);
  std::fill_n(G.data(), G.size(), 0.0);
  // A block of rows of float is widened to double first, and is hot in cache.
  const Index block = std::clamp<Index>((Index{1} << 17) / k, 64, 4096);
  for (Index i = 0; i < X.rows(); i += block) {
    const MatrixView<const T> part = X.middle_rows(i, std::min(block, X.rows() - i));
    const Matrix<double> wide = std::is_same_v<T, float> ? to_double<T>(part) : Matrix<double>();
    MatrixView<const double> rows = wide;
    if constexpr (std::is_same_v<T, double>) rows = part;
    // XᵀX of a row-major X is X'·X'ᵀ of the column-major X' that has the same memory.
    cblas_dsyrk(CblasColMajor, CblasUpper, rows.order() == Order::col_major ? CblasTrans : CblasNoTrans, blas_int(k),
                blas_int(rows.rows()), 1.0, rows.data(), blas_int(rows.ld()), 1.0, G.data(), blas_int(G.ld()));
  }
  for (Index j = 0; j < k; ++j)
    for (Index i = j + 1; i < k; ++i) G(i, j) = G(j, i);
  return G;
}

template <Real T>
void HostPrimitives<T>::solve_upper_right(MatrixView<T> X, MatrixView<const double> R) const {
  Matrix<T> factor(R.rows(), R.cols());
  for (Index j = 0; j < R.cols(); ++j)
    for (Index i = 0; i < R.rows(); ++i) factor(i, j) = i <= j ? static_cast<T>(R(i, j)) : T(0);
  if (X.order() == Order::col_major)
    blas::trsm(CblasColMajor, CblasRight, CblasUpper, CblasNoTrans, blas_int(X.rows()), blas_int(X.cols()),
               factor.data(), blas_int(factor.ld()), X.data(), blas_int(X.ld()));
  else  // Xᵀ ← R⁻ᵀ·Xᵀ on the same memory.
    blas::trsm(CblasColMajor, CblasLeft, CblasUpper, CblasTrans, blas_int(X.cols()), blas_int(X.rows()), factor.data(),
               blas_int(factor.ld()), X.data(), blas_int(X.ld()));
}

template <Real T>
std::optional<Matrix<double>> HostPrimitives<T>::upper_inverse(MatrixView<const T> R) const {
  const Index n = R.rows();
  Matrix<double> inverse(n, n);
#pragma omp parallel for schedule(static) if (n >= 256)
  for (Index j = 0; j < n; ++j)
    for (Index i = 0; i < n; ++i) inverse(i, j) = i <= j ? static_cast<double>(R(i, j)) : 0.0;
  const ScopedThreads scope(blas::lapack_threads(n, n));
  const int info = n == 0 ? 0 : LAPACKE_dtrtri(LAPACK_COL_MAJOR, 'U', 'N', blas_int(n), inverse.data(), blas_int(n));
  blas::check_lapack(info, "trtri");
  if (info > 0) return std::nullopt;
  return inverse;
}

template void HostPrimitives<float>::multiply(float, MatrixView<const float>, MatrixView<const float>, float,
                                              MatrixView<float>) const;
template void HostPrimitives<double>::multiply(double, MatrixView<const double>, MatrixView<const double>, double,
                                               MatrixView<double>) const;
template bool HostPrimitives<float>::multiplies_rounded(Rounding) const;
template bool HostPrimitives<double>::multiplies_rounded(Rounding) const;
template void HostPrimitives<float>::multiply_rounded(Rounding, MatrixView<const float>, MatrixView<const float>,
                                                      MatrixView<float>) const;
template void HostPrimitives<double>::multiply_rounded(Rounding, MatrixView<const double>, MatrixView<const float>,
                                                       MatrixView<float>) const;
template bool HostPrimitives<float>::fuses_normal(MatrixView<const float>, Index, bool) const;
template bool HostPrimitives<double>::fuses_normal(MatrixView<const double>, Index, bool) const;
template void HostPrimitives<float>::multiply_normal(MatrixView<const float>, MatrixView<const float>,
                                                     MatrixView<float>, MatrixView<float>) const;
template void HostPrimitives<double>::multiply_normal(MatrixView<const double>, MatrixView<const double>,
                                                      MatrixView<double>, MatrixView<double>) const;
template void HostPrimitives<float>::multiply_normal_rounded(MatrixView<const float>, MatrixView<const float>,
                                                             MatrixView<float>, MatrixView<float>) const;
template void HostPrimitives<double>::multiply_normal_rounded(MatrixView<const double>, MatrixView<const float>,
                                                              MatrixView<float>, MatrixView<float>) const;
template Matrix<double> HostPrimitives<float>::gram(MatrixView<const float>) const;
template Matrix<double> HostPrimitives<double>::gram(MatrixView<const double>) const;
template void HostPrimitives<float>::solve_upper_right(MatrixView<float>, MatrixView<const double>) const;
template void HostPrimitives<double>::solve_upper_right(MatrixView<double>, MatrixView<const double>) const;
template std::optional<Matrix<double>> HostPrimitives<float>::upper_inverse(MatrixView<const float>) const;
template std::optional<Matrix<double>> HostPrimitives<double>::upper_inverse(MatrixView<const double>) const;

}  // namespace lowrank
