#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>

#include <cstdint>

/// The calls of cuBLAS and cuSOLVER that have a name for each type, under one name each.

namespace lowrank::cuda {

template <class T>
constexpr cudaDataType data_type = sizeof(T) == 4 ? CUDA_R_32F : CUDA_R_64F;

inline cublasStatus_t gemm(cublasHandle_t handle, cublasOperation_t a, cublasOperation_t b, std::int64_t m,
                           std::int64_t n, std::int64_t k, float alpha, const float* A, std::int64_t lda,
                           const float* B, std::int64_t ldb, float beta, float* C, std::int64_t ldc) {
  return cublasSgemm_64(handle, a, b, m, n, k, &alpha, A, lda, B, ldb, &beta, C, ldc);
}
inline cublasStatus_t gemm(cublasHandle_t handle, cublasOperation_t a, cublasOperation_t b, std::int64_t m,
                           std::int64_t n, std::int64_t k, double alpha, const double* A, std::int64_t lda,
                           const double* B, std::int64_t ldb, double beta, double* C, std::int64_t ldc) {
  return cublasDgemm_64(handle, a, b, m, n, k, &alpha, A, lda, B, ldb, &beta, C, ldc);
}

/// With an upper triangular R whose diagonal is not one.
inline cublasStatus_t trsm(cublasHandle_t handle, cublasSideMode_t side, cublasOperation_t r, std::int64_t m,
                           std::int64_t n, const float* R, std::int64_t ldr, float* X, std::int64_t ldx) {
  const float one = 1;
  return cublasStrsm_64(handle, side, CUBLAS_FILL_MODE_UPPER, r, CUBLAS_DIAG_NON_UNIT, m, n, &one, R, ldr, X, ldx);
}
inline cublasStatus_t trsm(cublasHandle_t handle, cublasSideMode_t side, cublasOperation_t r, std::int64_t m,
                           std::int64_t n, const double* R, std::int64_t ldr, double* X, std::int64_t ldx) {
  const double one = 1;
  return cublasDtrsm_64(handle, side, CUBLAS_FILL_MODE_UPPER, r, CUBLAS_DIAG_NON_UNIT, m, n, &one, R, ldr, X, ldx);
}

inline cusolverStatus_t orgqr_size(cusolverDnHandle_t handle, int m, int n, const float* A, int lda, const float* tau,
                                   int* size) {
  return cusolverDnSorgqr_bufferSize(handle, m, n, n, A, lda, tau, size);
}
inline cusolverStatus_t orgqr_size(cusolverDnHandle_t handle, int m, int n, const double* A, int lda, const double* tau,
                                   int* size) {
  return cusolverDnDorgqr_bufferSize(handle, m, n, n, A, lda, tau, size);
}
inline cusolverStatus_t orgqr(cusolverDnHandle_t handle, int m, int n, float* A, int lda, const float* tau, float* work,
                              int size, int* info) {
  return cusolverDnSorgqr(handle, m, n, n, A, lda, tau, work, size, info);
}
inline cusolverStatus_t orgqr(cusolverDnHandle_t handle, int m, int n, double* A, int lda, const double* tau,
                              double* work, int size, int* info) {
  return cusolverDnDorgqr(handle, m, n, n, A, lda, tau, work, size, info);
}

}  // namespace lowrank::cuda
