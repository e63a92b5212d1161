#include <algorithm>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/host_primitives.hpp>

namespace lowrank {
namespace {

/// To ← scale·A in float, by columns.
template <Real T>
void narrow(MatrixView<const T> A, double scale, MatrixView<float> to) {
  const bool columns = A.order() == Order::col_major;
  Matrix<float> turned(columns ? 0 : A.rows(), columns ? 0 : A.cols(), Order::row_major);
  const MatrixView<float> lines = columns ? to : turned.view();
  const Index count = columns ? A.cols() : A.rows(), length = columns ? A.rows() : A.cols();
#pragma omp parallel for schedule(static) if (A.size() > 1 << 15)
  for (Index l = 0; l < count; ++l)
    for (Index i = 0; i < length; ++i)
      lines.data()[l * lines.ld() + i] = static_cast<float>(scale * static_cast<double>(A.data()[l * A.ld() + i]));
  if (!columns) copy<float>(turned, to);
}

/// The row exchanges from..to of getrf, in some columns.
void exchange_rows(MatrixView<float> X, const std::vector<int>& pivots, Index from, Index to) {
  if (!X.empty() && to > from)
    LAPACKE_slaswp_work(LAPACK_COL_MAJOR, blas_int(X.cols()), X.data(), blas_int(X.ld()), blas_int(from + 1),
                        blas_int(to), pivots.data(), 1);
}

/// Brings a block of columns up to date with the `done` columns of L before it.
void update_block(MatrixView<const float> L, MatrixView<float> block, Index done) {
  if (done == 0) return;
  const int n = blas_int(block.rows()), width = blas_int(block.cols()), k = blas_int(done);
  cblas_strsm(CblasColMajor, CblasLeft, CblasLower, CblasNoTrans, CblasUnit, k, width, 1.0F, L.data(), blas_int(L.ld()),
              block.data(), blas_int(block.ld()));
  cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n - k, width, k, -1.0F, L.data() + k, blas_int(L.ld()),
              block.data(), blas_int(block.ld()), 1.0F, block.data() + k, blas_int(block.ld()));
}

/// Left-looking LU of scale·A: a column is not touched before its turn, so that stopping early saves what is left.
/// False when a block, once updated, is not more than the rounding of what was subtracted from it.
template <Real T>
bool factor(MatrixView<const T> A, double scale, MatrixView<float> LU, std::vector<int>& pivots) {
  const Index n = A.rows();
  constexpr Index block = 256;
  constexpr double rounding = 0x1p-11;  // Measured: 2⁻¹² and less where the rank had ended, some units where not.
  for (Index j = 0; j < n; j += block) {
    const Index width = std::min(block, n - j);
    const MatrixView<float> columns = LU.middle_cols(j, width), rest = columns.middle_rows(j, n - j);
    narrow<T>(A.middle_cols(j, width), scale, columns);
    const double before = frobenius_norm<float>(columns);
    exchange_rows(columns, pivots, 0, j);
    update_block(LU, columns, j);
    if (!(frobenius_norm<float>(rest) > rounding * before)) return false;
    blas::check_lapack(
        blas::getrf(blas_int(n - j), blas_int(width), rest.data(), blas_int(rest.ld()), pivots.data() + j), "getrf");
    for (Index i = j; i < j + width; ++i) pivots[static_cast<std::size_t>(i)] += static_cast<int>(j);
    exchange_rows(LU.left_cols(j), pivots, j, j + width);
  }
  return true;
}

}  // namespace

template <Real T>
std::optional<LuFactors> HostPrimitives<T>::lu_in_float(MatrixView<const T> A, double scale) const {
  blas_int(A.rows());
  LuFactors lu{Matrix<float>(A.rows(), A.cols()), std::vector<int>(static_cast<std::size_t>(A.rows())), scale};
  const ScopedThreads scope(blas::lapack_threads(A.rows(), A.rows()));
  if (!factor<T>(A, scale, lu.LU, lu.pivots)) return std::nullopt;
  return lu;
}

template <Real T>
void HostPrimitives<T>::lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) const {
  const Index n = X.rows(), k = X.cols();
  Matrix<float> work(n, k);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < n; ++i) work(i, j) = static_cast<float>(X(i, j));
  blas::check_lapack(LAPACKE_sgetrs_work(LAPACK_COL_MAJOR, transpose == Transpose::yes ? 'T' : 'N', blas_int(n),
                                         blas_int(k), lu.LU.view().data(), blas_int(lu.LU.ld()), lu.pivots.data(),
                                         work.data(), blas_int(work.ld())),
                     "getrs");
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < n; ++i) X(i, j) = static_cast<T>(lu.scale * static_cast<double>(work(i, j)));
}

#define LOWRANK_INSTANTIATE(T)                                                                         \
  template std::optional<LuFactors> HostPrimitives<T>::lu_in_float(MatrixView<const T>, double) const; \
  template void HostPrimitives<T>::lu_solve(const LuFactors&, Transpose, MatrixView<T>) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
