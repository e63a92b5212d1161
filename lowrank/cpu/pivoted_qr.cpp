#include <algorithm>
#include <cmath>
#include <lowrank/core/random.hpp>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/host_primitives.hpp>
#include <lowrank/cpu/pivoted_qr.hpp>
#include <numeric>

namespace lowrank {
namespace {

template <Real T>
void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta,
          MatrixView<T> C) {
  const Index depth = ta == CblasNoTrans ? A.cols() : A.rows();
  if (C.empty()) return;
  blas::gemm(CblasColMajor, ta, tb, blas_int(C.rows()), blas_int(C.cols()), blas_int(depth), alpha, A.data(),
             blas_int(A.ld()), B.data(), blas_int(B.ld()), beta, C.data(), blas_int(C.ld()));
}

/// What is above and on the diagonal of the first `rows` rows of a factored `work`.
template <Real T>
Matrix<T> upper_part(MatrixView<const T> work, Index rows) {
  Matrix<T> R(rows, work.cols());
#pragma omp parallel for schedule(static) if (R.size() > 1 << 15)
  for (Index j = 0; j < R.cols(); ++j)
    for (Index i = 0; i < rows; ++i) R(i, j) = i <= j ? work(i, j) : T(0);
  return R;
}

/// R of the fewest rows that leave at most `tolerance`, where `done` rows leave `remainder`.
template <Real T>
PivotedQr<T> cut(MatrixView<const T> work, std::vector<Index> permutation, Index done, double remainder,
                 double tolerance) {
  if (tolerance >= 0) {
    const double unit = std::max(frobenius_norm<T>(work.middle_rows(0, done)), std::numeric_limits<double>::min());
    std::vector<double> squares(static_cast<std::size_t>(done), 0.0);
    for (Index j = 0; j < work.cols(); ++j)
      for (Index i = 0; i < std::min(j + 1, done); ++i) {
        const double ratio = static_cast<double>(work(i, j)) / unit;
        squares[static_cast<std::size_t>(i)] += ratio * ratio;
      }
    while (done > 0) {
      const double more = std::hypot(remainder, unit * std::sqrt(squares[static_cast<std::size_t>(done - 1)]));
      if (more > tolerance) break;
      remainder = more;
      --done;
    }
  }
  return {upper_part<T>(work, done), std::move(permutation), remainder};
}

/// Q = I - V·T·Vᵀ of a factored panel; T⁻¹ = the strict upper triangle of VᵀV with 1/tau on the diagonal (Puglisi
/// 1992).
template <Real T>
struct BlockReflector {
  Matrix<T> V, inverse_T;
};

/// Factors the panel in place.
template <Real T>
BlockReflector<T> factor_panel(MatrixView<T> panel) {
  const Index m = panel.rows(), b = panel.cols(), inner = std::min<Index>(b, 32);
  Matrix<T> taus(inner, b);
  blas::check_lapack(blas::geqrt(blas_int(m), blas_int(b), blas_int(inner), panel.data(), blas_int(panel.ld()),
                                 taus.data(), blas_int(taus.ld())),
                     "geqrt");
  BlockReflector<T> Q{Matrix<T>(m, b), Matrix<T>(b, b)};
  for (Index j = 0; j < b; ++j) {
    // Where tau is 0 the reflector is the identity: v = 0 with any T(j, j) says so.
    const bool none = taus(j % inner, j) == T(0);
    std::fill_n(&Q.V(0, j), none ? m : j, T(0));
    if (none) continue;
    Q.V(j, j) = T(1);
    std::copy_n(&panel(0, j) + j + 1, m - j - 1, &Q.V(0, j) + j + 1);
  }
  blas::syrk(CblasColMajor, CblasUpper, CblasTrans, blas_int(b), blas_int(m), Q.V.data(), blas_int(m),
             Q.inverse_T.data(), blas_int(b));
  for (Index j = 0; j < b; ++j) {
    const T tau = taus(j % inner, j);
    Q.inverse_T(j, j) = tau == T(0) ? T(1) : T(1) / tau;
  }
  return Q;
}

/// C ← Qᵀ·C, by Wᵀ = CᵀV·T: CᵀV is the product of a matrix with a panel.
template <Real T>
void apply_transposed(const BlockReflector<T>& Q, MatrixView<T> C) {
  if (C.empty()) return;
  Matrix<T> W(C.cols(), Q.V.cols());
  multiply<T>(T(1), C.transposed(), Q.V, T(0), W);
  blas::trsm(CblasColMajor, CblasRight, CblasUpper, CblasNoTrans, blas_int(W.rows()), blas_int(W.cols()),
             Q.inverse_T.data(), blas_int(Q.inverse_T.ld()), W.data(), blas_int(W.ld()));
  gemm<T>(CblasNoTrans, CblasTrans, T(-1), Q.V, W, T(1), C);
}

/// The matrix on its way to R, and (G·A₂₂)ᵀ for what is left of it, A₂₂, and a random G.
template <Real T>
struct Progress {
  Matrix<T> work, sketch;
  std::vector<Index> permutation;

  void swap_columns(Index a, Index b) {
    if (a == b) return;
    std::swap(permutation[static_cast<std::size_t>(a)], permutation[static_cast<std::size_t>(b)]);
    std::swap_ranges(&work(0, a), &work(0, a) + work.rows(), &work(0, b));
    for (Index l = 0; l < sketch.cols(); ++l) std::swap(sketch(a, l), sketch(b, l));
  }
};

/// Brings the columns chosen for the next `width` places there: LU with partial pivoting of the transposed sketch
/// chooses, QR with column pivoting of what it chose orders.
template <Real T>
void choose_columns(Progress<T>& state, Index j, Index width) {
  const Index left = state.work.cols() - j;
  Matrix<T> lu = Matrix<T>::copy_of(state.sketch.view().block(j, 0, left, width));
  std::vector<int> pivots(static_cast<std::size_t>(width), 0);
  blas::check_lapack(blas::getrf(blas_int(left), blas_int(width), lu.data(), blas_int(left), pivots.data()), "getrf");
  for (Index i = 0; i < width; ++i) state.swap_columns(j + i, j + pivots[static_cast<std::size_t>(i)] - 1);

  Matrix<T> chosen = Matrix<T>::copy_of(state.sketch.view().middle_rows(j, width).transposed());
  std::vector<T> tau(static_cast<std::size_t>(width));
  std::fill(pivots.begin(), pivots.end(), 0);
  blas::check_lapack(blas::geqp3(blas_int(chosen.rows()), blas_int(width), chosen.data(), blas_int(chosen.ld()),
                                 pivots.data(), tau.data()),
                     "geqp3");
  // Place i is to get what stands at pivots[i], as a sequence of exchanges.
  std::vector<Index> at(static_cast<std::size_t>(width));
  std::iota(at.begin(), at.end(), Index{0});
  for (Index i = 0; i < width; ++i) {
    const Index wanted = pivots[static_cast<std::size_t>(i)] - 1;
    const Index where = std::find(at.begin() + i, at.end(), wanted) - at.begin();
    state.swap_columns(j + i, j + where);
    std::swap(at[static_cast<std::size_t>(i)], at[static_cast<std::size_t>(where)]);
  }
}

/// G, transposed: random signs.
template <Real T>
Matrix<T> random_signs(Index rows, Index cols) {
  Matrix<T> G(rows, cols);
  const Philox random(0x5ca1ab1e, 0);
  for (Index j = 0; j < cols; ++j)
    for (Index i = 0; i < rows; i += 64) {
      std::uint64_t bits = random.word(static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(j));
      for (Index l = i; l < std::min(i + 64, rows); ++l, bits >>= 1) G(l, j) = (bits & 1) != 0 ? T(1) : T(-1);
    }
  return G;
}

/// G·A·P = [G₁ G₂]·[R₁₁ R₁₂; 0 A₂₂], so G₂·A₂₂ = (G·A·P)₂ - G₁·R₁₂ with G₁ = (G·A·P)₁·R₁₁⁻¹ (Duersch and Gu 2017).
/// Where R₁₁ is nearly singular G₁ is inexact in the columns that meet rows of R₁₂ as small as R₁₁'s.
/// Where it is singular the rest is sketched afresh.
template <Real T>
void update_sketch(Progress<T>& state, Index j, Index width) {
  const Index next = j + width, left = state.work.cols() - next;
  if (left == 0) return;
  Matrix<T> R11 = Matrix<T>::copy_of(state.work.view().block(j, j, width, width));
  for (Index i = 0; i < width; ++i)
    if (R11(i, i) == T(0)) R11(i, i) = T(1);  // The row is zero, and so is what it meets.
  Matrix<T> G1 = Matrix<T>::copy_of(state.sketch.view().middle_rows(j, width));
  blas::trsm(CblasColMajor, CblasLeft, CblasUpper, CblasTrans, blas_int(width), blas_int(G1.cols()), R11.data(),
             blas_int(R11.ld()), G1.data(), blas_int(G1.ld()));
  gemm<T>(CblasTrans, CblasNoTrans, T(-1), state.work.view().block(j, next, width, left), G1, T(1),
          state.sketch.view().middle_rows(next, left));
  if (std::isfinite(frobenius_norm<T>(state.sketch.view().middle_rows(next, left)))) return;
  const Index below = state.work.rows() - next;
  multiply<T>(T(1), state.work.view().block(next, next, below, left).transposed(),
              random_signs<T>(below, state.sketch.cols()), T(0), state.sketch.view().middle_rows(next, left));
}

template <Real T>
Matrix<T> times_power_of_two(MatrixView<const T> A, int exponent) {
  Matrix<T> scaled = Matrix<T>::copy_of(A);
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i) scaled(i, j) = std::ldexp(scaled(i, j), exponent);
  return scaled;
}

}  // namespace

template <Real T>
PivotedQr<T> sketched_pivoted_qr(MatrixView<const T> A, double tolerance, Index block) {
  const Index m = A.rows(), n = A.cols(), k = std::min(m, n);
  // Near the ends of T's range the updates would overflow or lose what is small.
  const double norm = frobenius_norm<T>(A);
  const int exponent = norm > 0 && std::isfinite(norm) ? std::ilogb(norm) : 0;
  if (std::abs(exponent) > 48) {
    const Matrix<T> scaled = times_power_of_two<T>(A, -exponent);
    PivotedQr<T> qr = sketched_pivoted_qr<T>(scaled, std::ldexp(tolerance, -exponent), block);
    qr.R = times_power_of_two<T>(qr.R, exponent);
    qr.remainder = std::ldexp(qr.remainder, exponent);
    return qr;
  }
  Progress<T> state{Matrix<T>::copy_of(A), Matrix<T>(n, block), std::vector<Index>(static_cast<std::size_t>(n))};
  std::iota(state.permutation.begin(), state.permutation.end(), Index{0});
  multiply<T>(T(1), state.work.view().transposed(), random_signs<T>(m, block), T(0), state.sketch);

  Index j = 0;
  double remainder = frobenius_norm<T>(state.work);
  while (j < k && remainder > tolerance) {
    const Index width = std::min(block, k - j), next = j + width;
    // 1. The pivots, and the panel.
    choose_columns(state, j, width);
    const BlockReflector<T> Q = factor_panel<T>(state.work.view().block(j, j, m - j, width));
    // 2. The rest, and the sketch of it.
    apply_transposed<T>(Q, state.work.view().block(j, next, m - j, n - next));
    update_sketch(state, j, width);
    // 3. What is left. The sketch shows it to a few per cent: it is measured when it comes near the tolerance.
    j = next;
    remainder =
        j < k ? frobenius_norm<T>(state.sketch.view().middle_rows(j, n - j)) / std::sqrt(static_cast<double>(block))
              : 0;
    if (j < k && remainder <= 2 * tolerance) remainder = frobenius_norm<T>(state.work.view().block(j, j, m - j, n - j));
  }
  return cut<T>(state.work, std::move(state.permutation), j, remainder, tolerance);
}

template <Real T>
PivotedQr<T> lapack_pivoted_qr(MatrixView<const T> A, double tolerance) {
  const Index m = A.rows(), n = A.cols(), k = std::min(m, n);
  const ScopedThreads scope(blas::lapack_threads(m, n));
  Matrix<T> work = Matrix<T>::copy_of(A);
  std::vector<int> pivots(static_cast<std::size_t>(n), 0);
  std::vector<T> tau(static_cast<std::size_t>(k));
  if (k > 0)
    blas::check_lapack(
        blas::geqp3(blas_int(m), blas_int(n), work.data(), blas_int(work.ld()), pivots.data(), tau.data()), "geqp3");
  std::vector<Index> permutation(static_cast<std::size_t>(n));
  for (Index j = 0; j < n; ++j)
    permutation[static_cast<std::size_t>(j)] = k > 0 ? pivots[static_cast<std::size_t>(j)] - 1 : j;
  return cut<T>(work, std::move(permutation), k, 0, tolerance);
}

template <Real T>
PivotedQr<T> HostPrimitives<T>::pivoted_qr(MatrixView<const T> A, double tolerance) const {
  // The measured crossover.
  constexpr Index large = 256;
  const Index smaller = std::min(A.rows(), A.cols());
  if (smaller < large) return lapack_pivoted_qr<T>(A, tolerance);
  return sketched_pivoted_qr<T>(A, tolerance, smaller < 1024 ? 64 : 128);
}

#define LOWRANK_INSTANTIATE(T)                                                      \
  template PivotedQr<T> sketched_pivoted_qr<T>(MatrixView<const T>, double, Index); \
  template PivotedQr<T> lapack_pivoted_qr<T>(MatrixView<const T>, double);          \
  template PivotedQr<T> HostPrimitives<T>::pivoted_qr(MatrixView<const T>, double) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
