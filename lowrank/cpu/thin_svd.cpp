#include <fmt/core.h>

#include <Eigen/SVD>
#include <algorithm>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/host_primitives.hpp>

namespace lowrank {
namespace {

/// The workspace LAPACK asked for, as an int: at some 15,000 columns gesdd's grows beyond 32 bits.
template <Real T>
int workspace(T wanted, const char* routine) {
  const double size = static_cast<double>(wanted) * (1 + std::numeric_limits<T>::epsilon());
  if (size > std::numeric_limits<int>::max())
    throw Error(fmt::format(
        "LAPACK {}: its workspace of {:.3g} entries is beyond 32-bit integers; use a truncated method", routine, size));
  return std::max(1, static_cast<int>(size));
}

/// One driver on the column-major A with m >= n, which is overwritten. False: it did not converge.
template <Real T>
bool run(SvdDriver driver, Vectors vectors, MatrixView<T> A, ThinSvd<T>& out, MatrixView<T> Vt) {
  const int m = blas_int(A.rows()), n = blas_int(A.cols()), lda = blas_int(A.ld());
  const bool want = vectors == Vectors::thin;
  T* u = want ? out.U.data() : nullptr;
  T* vt = want ? Vt.data() : nullptr;
  const int ldu = want ? blas_int(out.U.ld()) : 1, ldvt = want ? blas_int(Vt.ld()) : 1;
  const char job = want ? 'S' : 'N';
  T size = 0;
  int info = 0;
  switch (driver) {
    case SvdDriver::gesdd: {
      std::vector<int> iwork(8 * static_cast<std::size_t>(n));
      blas::gesdd(job, m, n, A.data(), lda, out.S.data(), u, ldu, vt, ldvt, &size, -1, iwork.data());
      Matrix<T> work(workspace(size, "gesdd"), 1);
      info = blas::gesdd(job, m, n, A.data(), lda, out.S.data(), u, ldu, vt, ldvt, work.data(), blas_int(work.rows()),
                         iwork.data());
      break;
    }
    case SvdDriver::gesvd: {
      blas::gesvd(job, m, n, A.data(), lda, out.S.data(), u, ldu, vt, ldvt, &size, -1);
      Matrix<T> work(workspace(size, "gesvd"), 1);
      info = blas::gesvd(job, m, n, A.data(), lda, out.S.data(), u, ldu, vt, ldvt, work.data(), blas_int(work.rows()));
      break;
    }
    case SvdDriver::jacobi: {
      // In double for either type: it is the last resort, and Eigen's templates take long to compile.
      const unsigned flags = want ? Eigen::ComputeThinU | Eigen::ComputeThinV : 0U;
      const Eigen::JacobiSVD<Eigen::MatrixXd, Eigen::HouseholderQRPreconditioner> jacobi(
          A.eigen_col_major().template cast<double>(), flags);
      if (jacobi.info() != Eigen::Success) return false;
      std::transform(jacobi.singularValues().begin(), jacobi.singularValues().end(), out.S.begin(),
                     [](double value) { return static_cast<T>(value); });
      if (want) {
        out.U.eigen() = jacobi.matrixU().template cast<T>();
        Vt.eigen_col_major() = jacobi.matrixV().transpose().template cast<T>();
      }
      return true;
    }
  }
  if (info < 0) throw Error(fmt::format("LAPACK SVD: argument {} was refused", -info));
  return info == 0;
}

}  // namespace

template <Real T>
ThinSvd<T> HostPrimitives<T>::thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const {
  if (A.rows() < A.cols()) {
    ThinSvd<T> result = thin_svd(A.transposed(), vectors, first);
    std::swap(result.U, result.V);
    return result;
  }
  const Index m = A.rows(), n = A.cols();
  blas_int(m);  // Before anything is copied.
  const bool want = vectors == Vectors::thin;
  ThinSvd<T> result{Matrix<T>(want ? m : 0, want ? n : 0), std::vector<T>(static_cast<std::size_t>(n)),
                    Matrix<T>(want ? n : 0, want ? n : 0), first};
  if (n == 0) return result;
  const ScopedThreads scope(blas::lapack_threads(m, n));
  Matrix<T> Vt(want ? n : 0, want ? n : 0);
  // The drivers destroy their input and A is kept, so each starts from a fresh copy.
  for (const SvdDriver driver : {SvdDriver::gesdd, SvdDriver::gesvd, SvdDriver::jacobi}) {
    if (driver < first) continue;
    Matrix<T> work = Matrix<T>::copy_of(A);
    if (!run<T>(driver, vectors, work, result, Vt)) continue;
    if (want) copy(Vt.view().transposed(), result.V);
    result.driver = driver;
    return result;
  }
  throw Error(fmt::format("the SVD of a {}x{} matrix converged with none of gesdd, gesvd and Jacobi", m, n));
}

template ThinSvd<float> HostPrimitives<float>::thin_svd(MatrixView<const float>, Vectors, SvdDriver) const;
template ThinSvd<double> HostPrimitives<double>::thin_svd(MatrixView<const double>, Vectors, SvdDriver) const;

}  // namespace lowrank
