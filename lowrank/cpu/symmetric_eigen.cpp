#include <fmt/core.h>

#include <algorithm>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/blas.hpp>
#include <stdexcept>

namespace lowrank {

std::optional<SymmetricEigen> symmetric_eigen(MatrixView<const double> G, Vectors vectors) {
  const Index n = G.rows();
  if (G.cols() != n) throw std::invalid_argument(fmt::format("symmetric_eigen: a matrix of {}x{}", n, G.cols()));
  const bool want = vectors == Vectors::thin;
  Matrix<double> work = Matrix<double>::copy_of(G);
  std::vector<double> values(static_cast<std::size_t>(n));
  const ScopedThreads scope(blas::lapack_threads(n, n));
  const int info = n == 0 ? 0
                          : LAPACKE_dsyevd(LAPACK_COL_MAJOR, want ? 'V' : 'N', 'L', blas_int(n), work.data(),
                                           blas_int(work.ld()), values.data());
  blas::check_lapack(info, "syevd");
  if (info > 0) return std::nullopt;
  // LAPACK has the least first.
  std::reverse(values.begin(), values.end());
  if (!want) return SymmetricEigen{std::move(values), {}};
  Matrix<double> falling(n, n);
  for (Index j = 0; j < n; ++j) std::copy_n(&work(0, n - 1 - j), n, &falling(0, j));
  return SymmetricEigen{std::move(values), std::move(falling)};
}

}  // namespace lowrank
