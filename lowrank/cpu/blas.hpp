#pragma once

#include <cblas.h>
#include <fmt/core.h>
#include <lapacke.h>

#include <algorithm>
#include <lowrank/core/device.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/core/types.hpp>
#include <string_view>

/// CBLAS and LAPACKE by overloading on the scalar type, only what the host device calls. All matrices are column-major
/// for LAPACK.

namespace lowrank::blas {

/// Threads for a LAPACK factorization of m×n: one where it is small. LAPACK calls BLAS thousands of times, and each
/// call of several threads ends in a wait for the last of them, which on a busy machine takes longer than the work.
inline int lapack_threads(Index m, Index n) {
  constexpr double small = 512.0 * 512.0 * 512.0;
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(std::min(m, n)) <= small ? 1 : threads();
}

/// Bytes of the vectors of OpenBLAS's kernels for `core`, as it calls its kinds of processors.
inline Index vector_bytes(std::string_view core) {
  constexpr std::string_view avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
  constexpr std::string_view sse[] = {"Unknown", "Katmai", "Coppermine", "Northwood",    "Prescott", "Banias",
                                      "Atom",    "Core2",  "Penryn",     "Dunnington",   "Nehalem",  "Athlon",
                                      "Opteron", "Nano",   "Barcelona",  "Opteron_SSE3", "Bobcat"};
  if (std::find(std::begin(avx512), std::end(avx512), core) != std::end(avx512)) return 64;
  return std::find(std::begin(sse), std::end(sse), core) != std::end(sse) ? 16 : 32;
}

/// Of the kernels in use. A release older than the processor may have taken smaller vectors than the processor has, and
/// so does any that OPENBLAS_CORETYPE tells to.
inline Index vector_bytes() {
  static const Index bytes = vector_bytes(openblas_get_corename());
  return bytes;
}

/// The core to name in OPENBLAS_CORETYPE on a processor with AVX2, or AVX-512, of which OpenBLAS does not know: without
/// a name it has taken kernels of SSE. Empty where it has not, and where it was built for one processor (`config` is
/// openblas_get_config()).
inline std::string_view better_core(std::string_view config, std::string_view core, bool avx2, bool avx512) {
  if (vector_bytes(core) > 16 || config.find("DYNAMIC_ARCH") == std::string_view::npos) return "";
  return avx512 ? "SkylakeX" : avx2 ? "Haswell" : "";
}

/// Throws for the errors LAPACK reports that are not of the numerical kind.
inline void check_lapack(int info, const char* routine) {
  if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
    throw Error(fmt::format("LAPACK {}: not enough memory for its workspace", routine));
  if (info < 0) throw Error(fmt::format("LAPACK {}: argument {} was refused", routine, -info));
}

inline void gemm(CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
inline void gemm(CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double alpha,
                 const double* a, int lda, const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

inline void gemv(CBLAS_ORDER order, CBLAS_TRANSPOSE trans, int m, int n, float alpha, const float* a, int lda,
                 const float* x, int incx, float beta, float* y, int incy) {
  cblas_sgemv(order, trans, m, n, alpha, a, lda, x, incx, beta, y, incy);
}
inline void gemv(CBLAS_ORDER order, CBLAS_TRANSPOSE trans, int m, int n, double alpha, const double* a, int lda,
                 const double* x, int incx, double beta, double* y, int incy) {
  cblas_dgemv(order, trans, m, n, alpha, a, lda, x, incx, beta, y, incy);
}

inline void trsm(CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int m, int n,
                 const float* r, int ldr, float* x, int ldx) {
  cblas_strsm(order, side, uplo, trans, CblasNonUnit, m, n, 1.0F, r, ldr, x, ldx);
}
inline void trsm(CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int m, int n,
                 const double* r, int ldr, double* x, int ldx) {
  cblas_dtrsm(order, side, uplo, trans, CblasNonUnit, m, n, 1.0, r, ldr, x, ldx);
}

inline int geqrf(int m, int n, float* a, int lda, float* tau) {
  return LAPACKE_sgeqrf(LAPACK_COL_MAJOR, m, n, a, lda, tau);
}
inline int geqrf(int m, int n, double* a, int lda, double* tau) {
  return LAPACKE_dgeqrf(LAPACK_COL_MAJOR, m, n, a, lda, tau);
}

inline void syrk(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int n, int k, const float* a, int lda,
                 float* c, int ldc) {
  cblas_ssyrk(order, uplo, trans, n, k, 1.0F, a, lda, 0.0F, c, ldc);
}
inline void syrk(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int n, int k, const double* a, int lda,
                 double* c, int ldc) {
  cblas_dsyrk(order, uplo, trans, n, k, 1.0, a, lda, 0.0, c, ldc);
}

inline int geqrt(int m, int n, int nb, float* a, int lda, float* t, int ldt) {
  return LAPACKE_sgeqrt(LAPACK_COL_MAJOR, m, n, nb, a, lda, t, ldt);
}
inline int geqrt(int m, int n, int nb, double* a, int lda, double* t, int ldt) {
  return LAPACKE_dgeqrt(LAPACK_COL_MAJOR, m, n, nb, a, lda, t, ldt);
}

inline int getrf(int m, int n, float* a, int lda, int* pivots) {
  return LAPACKE_sgetrf(LAPACK_COL_MAJOR, m, n, a, lda, pivots);
}
inline int getrf(int m, int n, double* a, int lda, int* pivots) {
  return LAPACKE_dgetrf(LAPACK_COL_MAJOR, m, n, a, lda, pivots);
}

inline int orgqr(int m, int n, int k, float* a, int lda, const float* tau) {
  return LAPACKE_sorgqr(LAPACK_COL_MAJOR, m, n, k, a, lda, tau);
}
inline int orgqr(int m, int n, int k, double* a, int lda, const double* tau) {
  return LAPACKE_dorgqr(LAPACK_COL_MAJOR, m, n, k, a, lda, tau);
}

inline int geqp3(int m, int n, float* a, int lda, int* jpvt, float* tau) {
  return LAPACKE_sgeqp3(LAPACK_COL_MAJOR, m, n, a, lda, jpvt, tau);
}
inline int geqp3(int m, int n, double* a, int lda, int* jpvt, double* tau) {
  return LAPACKE_dgeqp3(LAPACK_COL_MAJOR, m, n, a, lda, jpvt, tau);
}

inline int gesdd(char job, int m, int n, float* a, int lda, float* s, float* u, int ldu, float* vt, int ldvt,
                 float* work, int lwork, int* iwork) {
  return LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, iwork);
}
inline int gesdd(char job, int m, int n, double* a, int lda, double* s, double* u, int ldu, double* vt, int ldvt,
                 double* work, int lwork, int* iwork) {
  return LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, iwork);
}

inline int gesvd(char job, int m, int n, float* a, int lda, float* s, float* u, int ldu, float* vt, int ldvt,
                 float* work, int lwork) {
  return LAPACKE_sgesvd_work(LAPACK_COL_MAJOR, job, job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork);
}
inline int gesvd(char job, int m, int n, double* a, int lda, double* s, double* u, int ldu, double* vt, int ldvt,
                 double* work, int lwork) {
  return LAPACKE_dgesvd_work(LAPACK_COL_MAJOR, job, job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork);
}

}  // namespace lowrank::blas
