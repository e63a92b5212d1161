#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <lowrank/core/error.hpp>
#include <lowrank/core/training.hpp>
#include <lowrank/cuda/cuda_device.hpp>
#include <lowrank/cuda/libraries.hpp>
#include <utility>
#include <vector>

// What goes to cuSOLVER. It leaves `info` on the GPU: reading it waits for the work.

namespace lowrank::cuda {
namespace {

/// What a call of cuSOLVER works with beside its matrices.
struct Workspace {
  Workspace(std::size_t on_device, std::size_t on_host, CudaDevice& device)
      : memory(static_cast<Index>(on_device), device), host(on_host), info(1, device) {
    info.upload(std::array{0});
  }
  /// Throws when an argument was refused; else what the call reported.
  int result(const char* call) const {
    std::array<int, 1> found{};
    info.download(found);
    if (found[0] < 0) throw Error(fmt::format("cuSOLVER {}: argument {} was refused", call, -found[0]));
    return found[0];
  }

  Buffer<std::byte> memory;
  std::vector<std::byte> host;
  Buffer<int> info;
};

template <Real T>
void geqrf(const Context& context, cusolverDnHandle_t solver, MatrixView<T> X, T* tau, CudaDevice& device) {
  std::size_t on_device = 0, on_host = 0;
  context.check(cusolverDnXgeqrf_bufferSize(solver, context.solver_parameters(), X.rows(), X.cols(), data_type<T>,
                                            X.data(), X.ld(), data_type<T>, tau, data_type<T>, &on_device, &on_host),
                "Xgeqrf_bufferSize");
  Workspace work(on_device, on_host, device);
  context.check(cusolverDnXgeqrf(solver, context.solver_parameters(), X.rows(), X.cols(), data_type<T>, X.data(),
                                 X.ld(), data_type<T>, tau, data_type<T>, work.memory.data(), on_device,
                                 work.host.data(), on_host, work.info.data()),
                "Xgeqrf");
  work.result("Xgeqrf");
}

template <Real T>
void form_q(const Context& context, cusolverDnHandle_t solver, MatrixView<T> X, const T* tau, CudaDevice& device) {
  const int m = blas_int(X.rows()), k = blas_int(X.cols()), ld = blas_int(X.ld());
  int size = 0;
  context.check(orgqr_size(solver, m, k, X.data(), ld, tau, &size), "orgqr_bufferSize");
  Workspace work(static_cast<std::size_t>(size) * sizeof(T), 0, device);
  context.check(
      orgqr(solver, m, k, X.data(), ld, tau, reinterpret_cast<T*>(work.memory.data()), size, work.info.data()),
      "orgqr");
  work.result("orgqr");
}

/// The SVD of a column-major A with m >= n, which is overwritten; U, S and V are there, U and V empty when not wanted.
/// False: it did not converge.
template <Real T>
bool by_qr_iteration(const Context& context, cusolverDnHandle_t solver, MatrixView<T> A, MatrixView<T> U, T* S,
                     MatrixView<T> V, CudaDevice& device) {
  const bool want = !U.empty();
  const signed char job = want ? 'S' : 'N';
  Matrix<T> Vt(V.rows(), V.cols(), device);
  // Leading dimensions are checked even where there are no vectors.
  const Index ldu = want ? U.ld() : A.rows(), ldvt = want ? Vt.ld() : A.cols();
  std::size_t on_device = 0, on_host = 0;
  context.check(cusolverDnXgesvd_bufferSize(solver, context.solver_parameters(), job, job, A.rows(), A.cols(),
                                            data_type<T>, A.data(), A.ld(), data_type<T>, S, data_type<T>, U.data(),
                                            ldu, data_type<T>, Vt.data(), ldvt, data_type<T>, &on_device, &on_host),
                "Xgesvd_bufferSize");
  Workspace work(on_device, on_host, device);
  context.check(
      cusolverDnXgesvd(solver, context.solver_parameters(), job, job, A.rows(), A.cols(), data_type<T>, A.data(),
                       A.ld(), data_type<T>, S, data_type<T>, U.data(), ldu, data_type<T>, Vt.data(), ldvt,
                       data_type<T>, work.memory.data(), on_device, work.host.data(), on_host, work.info.data()),
      "Xgesvd");
  if (work.result("Xgesvd") != 0) return false;
  if (want) copy<T>(Vt.view().transposed(), V);
  return true;
}

/// For what cuSOLVER does not have: the host's LAPACK does it.
template <Real T>
Matrix<T> on_host(MatrixView<const T> A) {
  Matrix<T> here(A.rows(), A.cols(), A.order());
  lowrank::copy<T>(A, here);
  return here;
}

/// A power of two that brings the largest entry near 1 where it lies so far off that squares may leave T's range:
/// LAPACK scales in such cases, of cuSOLVER it is not said.
template <Real T>
double scale_into_range(const std::vector<Entry>& largest_in_columns) {
  constexpr int far = std::is_same_v<T, float> ? 50 : 400, most = std::is_same_v<T, float> ? 120 : 1000;
  double largest = 0;
  for (const Entry& entry : largest_in_columns) largest = std::max(largest, std::abs(entry.value));
  if (!(largest > 0) || !std::isfinite(largest)) return 1;
  const int exponent = std::ilogb(largest);
  return std::abs(exponent) < far ? 1 : std::ldexp(1.0, std::clamp(-exponent, -most, most));
}

template <Real T>
void scale(MatrixView<T> X, double by) {
  if (by != 1) lowrank::scale_columns<T>(X, std::vector<double>(static_cast<std::size_t>(X.cols()), by));
}

}  // namespace

template <Real T>
Matrix<double> CudaPrimitives<T>::householder_qr(MatrixView<T> X) const {
  const Index k = X.cols();
  Matrix<double> R(k, k);
  if (k == 0) return R;
  if (X.order() == Order::row_major) {
    Matrix<T> columns = Matrix<T>::copy_of(X);
    R = householder_qr(columns.view());
    copy(columns, X);
    return R;
  }
  const double by = scale_into_range<T>(largest_in_columns(X));
  blas_int(X.rows());  // orgqr's sizes are of 32 bits; said before anything is overwritten.
  blas_int(X.ld());
  scale<T>(X, by);
  context().run("householder_qr", [&] {
    const cusolverDnHandle_t solver = context().solver();
    Buffer<T> tau(k, device_);
    geqrf<T>(context(), solver, X, tau.data(), device_);
    R = to_double<T>(X.middle_rows(0, k));
    form_q<T>(context(), solver, X, tau.data(), device_);
  });
  std::vector<double> signs(static_cast<std::size_t>(k), 1.0);
  for (Index i = 0; i < k; ++i) {
    if (R(i, i) < 0) signs[static_cast<std::size_t>(i)] = -1;
    for (Index j = 0; j < k; ++j) R(i, j) = j >= i ? signs[static_cast<std::size_t>(i)] * R(i, j) / by : 0.0;
  }
  if (std::find(signs.begin(), signs.end(), -1.0) != signs.end()) scale_columns(X, signs);
  return R;
}

/// cuSOLVER has no QR with column pivoting: the host does it. R and the permutation are wanted there anyway.
template <Real T>
PivotedQr<T> CudaPrimitives<T>::pivoted_qr(MatrixView<const T> A, double tolerance) const {
  return lowrank::pivoted_qr<T>(on_host<T>(A), tolerance);
}

template <Real T>
std::optional<Matrix<double>> CudaPrimitives<T>::upper_inverse(MatrixView<const T> R) const {
  std::optional<Matrix<double>> inverse = lowrank::upper_inverse<T>(on_host<T>(R));
  if (inverse) inverse = inverse->to(device_);
  return inverse;
}

template <Real T>
std::optional<LuFactors> CudaPrimitives<T>::lu_in_float(MatrixView<const T> A, double scale) const {
  std::optional<LuFactors> lu = lowrank::lu_in_float<T>(on_host<T>(A), scale);
  if (lu) lu->LU = lu->LU.to(device_);
  return lu;
}

template <Real T>
void CudaPrimitives<T>::lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) const {
  const LuFactors there{on_host<float>(lu.LU), lu.pivots, lu.scale};
  Matrix<T> columns = on_host<T>(X);
  lowrank::lu_solve<T>(there, transpose, columns);
  lowrank::copy<T>(columns, X);
}

/// A = Q·R first, so that only an n×n matrix is left to be made bidiagonal (Chan 1982).
template <Real T>
ThinSvd<T> CudaPrimitives<T>::tall_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const {
  Matrix<T> Q = Matrix<T>::copy_of(A);
  const Matrix<double> R = householder_qr(Q);
  ThinSvd<T> result = thin_svd(from_double<T>(R, device_), vectors, first);
  if (vectors == Vectors::none) return result;
  Matrix<T> U(A.rows(), A.cols(), device_);
  context().run("tall_svd", [&] { gemm<T>(context(), T(1), Q, result.U, T(0), U); });
  result.U = std::move(U);
  return result;
}

/// QR iteration by Xgesvd where the host has gesdd and gesvd (gesvdp is faster for large matrices, but shifts those
/// with tiny singular values); Jacobi's method, for what that cannot do, on the host: gesvdj's vectors for singular
/// values of zero are not known to be orthonormal.
template <Real T>
ThinSvd<T> CudaPrimitives<T>::thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const {
  if (A.rows() < A.cols()) {
    ThinSvd<T> result = thin_svd(A.transposed(), vectors, first);
    std::swap(result.U, result.V);
    return result;
  }
  const Index m = A.rows(), n = A.cols();
  const bool want = vectors == Vectors::thin;
  if (n > 0 && m >= 2 * n) return tall_svd(A, vectors, first);
  // What stands for gesdd and gesvd here goes by the name of the one that was asked for.
  ThinSvd<T> result{Matrix<T>(want ? m : 0, want ? n : 0, device_), std::vector<T>(static_cast<std::size_t>(n)),
                    Matrix<T>(want ? n : 0, want ? n : 0, device_), first};
  if (n == 0) return result;
  const bool converged = first != SvdDriver::jacobi && context().run("thin_svd", [&] {
    const double by = scale_into_range<T>(largest_in_columns(A));
    Matrix<T> work = Matrix<T>::copy_of(A);
    scale<T>(work, by);
    Buffer<T> S(n, device_);
    if (!by_qr_iteration<T>(context(), context().solver(), work, result.U, S.data(), result.V, device_)) return false;
    S.download(result.S);
    for (T& s : result.S) s = static_cast<T>(static_cast<double>(s) / by);
    return true;
  });
  if (converged) return result;
  result = lowrank::thin_svd<T>(on_host<T>(A), vectors, SvdDriver::jacobi);
  result.U = result.U.to(device_);
  result.V = result.V.to(device_);
  return result;
}

#define LOWRANK_INSTANTIATE(T)                                                                         \
  template Matrix<double> CudaPrimitives<T>::householder_qr(MatrixView<T>) const;                      \
  template PivotedQr<T> CudaPrimitives<T>::pivoted_qr(MatrixView<const T>, double) const;              \
  template std::optional<Matrix<double>> CudaPrimitives<T>::upper_inverse(MatrixView<const T>) const;  \
  template std::optional<LuFactors> CudaPrimitives<T>::lu_in_float(MatrixView<const T>, double) const; \
  template void CudaPrimitives<T>::lu_solve(const LuFactors&, Transpose, MatrixView<T>) const;         \
  template ThinSvd<T> CudaPrimitives<T>::tall_svd(MatrixView<const T>, Vectors, SvdDriver) const;      \
  template ThinSvd<T> CudaPrimitives<T>::thin_svd(MatrixView<const T>, Vectors, SvdDriver) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank::cuda
