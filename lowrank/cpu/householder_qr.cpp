#include <algorithm>
#include <exception>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/host_primitives.hpp>
#include <vector>

namespace lowrank {
namespace {

/// X ← Q and R of X = Q·R, by LAPACK.
template <Real T>
void lapack_qr(MatrixView<T> X, MatrixView<T> R) {
  const int m = blas_int(X.rows()), k = blas_int(X.cols()), ld = blas_int(X.ld());
  std::vector<T> tau(static_cast<std::size_t>(k));
  blas::check_lapack(blas::geqrf(m, k, X.data(), ld, tau.data()), "geqrf");
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < k; ++i) R(i, j) = i <= j ? X(i, j) : T(0);
  blas::check_lapack(blas::orgqr(m, k, k, X.data(), ld, tau.data()), "orgqr");
}

/// Rows of a slice: it stays in the second-level cache, where LAPACK's sweeps over its columns are cheap, and its R is
/// a small part of it.
template <Real T>
Index slice_rows(Index k) {
  constexpr Index bytes = Index{256} << 10;
  return std::max(4 * k, bytes / (k * static_cast<Index>(sizeof(T))));
}

/// work(s) for each slice, each by one thread. What one throws is thrown when all have ended: nothing may leave a
/// parallel region.
template <class Work>
void by_slices(Index slices, const Work& work) {
  std::exception_ptr thrown;
  const ScopedThreads scope(1);
#pragma omp parallel for schedule(dynamic) num_threads(scope.before())
  for (Index s = 0; s < slices; ++s) {
    try {
      work(s);
    } catch (...) {
#pragma omp critical
      thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

/// The same by slices of rows, each by one thread, and the QR of what they leave, R over R (TSQR: Demmel, Grigori,
/// Hoemmen and Langou 2012). As stable as one QR; the slices depend on the shape alone.
template <Real T>
void tall_qr(MatrixView<T> X, MatrixView<T> R) {
  const Index m = X.rows(), k = X.cols(), slices = m / slice_rows<T>(k);
  if (slices < 2) {
    const ScopedThreads scope(blas::lapack_threads(m, k));
    return lapack_qr(X, R);
  }
  const auto slice = [&](Index s) {
    const Index first = m * s / slices;
    return X.middle_rows(first, m * (s + 1) / slices - first);
  };
  Matrix<T> factors(slices * k, k);
  const auto factor = [&](Index s) { return factors.view().middle_rows(s * k, k); };
  by_slices(slices, [&](Index s) { lapack_qr(slice(s), factor(s)); });
  tall_qr(factors.view(), R);
  by_slices(slices, [&](Index s) {
    const Matrix<T> Q = Matrix<T>::copy_of(slice(s));
    blas::gemm(CblasColMajor, CblasNoTrans, CblasNoTrans, blas_int(Q.rows()), blas_int(k), blas_int(k), T(1), Q.data(),
               blas_int(Q.ld()), factor(s).data(), blas_int(factors.ld()), T(0), slice(s).data(), blas_int(X.ld()));
  });
}

/// R's diagonal made non-negative, the columns of Q following.
template <Real T>
void make_diagonal_positive(MatrixView<T> Q, Matrix<double>& R) {
  for (Index i = 0; i < R.rows(); ++i) {
    if (!(R(i, i) < 0)) continue;
    for (Index j = i; j < R.cols(); ++j) R(i, j) = -R(i, j);
    T* column = &Q(0, i);
    for (Index r = 0; r < Q.rows(); ++r) column[r] = -column[r];
  }
}

}  // namespace

template <Real T>
Matrix<double> HostPrimitives<T>::householder_qr(MatrixView<T> X) const {
  const Index k = X.cols();
  static_cast<void>(blas_int(X.rows()));  // refused before an entry is touched
  if (k == 0) return {};
  if (X.order() == Order::row_major) {
    Matrix<T> columns = Matrix<T>::copy_of(X);
    Matrix<double> R = householder_qr(columns.view());
    copy(columns, X);
    return R;
  }
  Matrix<T> factor(k, k);
  tall_qr(X, factor.view());
  Matrix<double> R = to_double<T>(factor);
  make_diagonal_positive(X, R);
  return R;
}

template Matrix<double> HostPrimitives<float>::householder_qr(MatrixView<float>) const;
template Matrix<double> HostPrimitives<double>::householder_qr(MatrixView<double>) const;

}  // namespace lowrank
