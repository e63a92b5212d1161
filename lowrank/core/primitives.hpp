#pragma once

#include <cstdint>
#include <lowrank/core/matrix.hpp>
#include <optional>
#include <vector>

/// The primitives: everything that algorithms do to the entries of a matrix. Each function checks the
/// shapes (std::invalid_argument) and hands the work to the device that its arguments live on.
/// k×k results (Gram matrices, triangular factors) are in double on the host, whatever T is.

namespace lowrank {

/// An entry and its place.
struct Entry {
  Index row, col;
  double value;
};

/// The LAPACK routines for an exact SVD, in the order they are tried.
enum class SvdDriver { gesdd, gesvd, jacobi };

enum class Vectors { none, thin };

/// A = U·diag(S)·Vᵀ with U m×k, V n×k, k = min(m, n), S in falling order. U and V are empty when only
/// values were asked for. `driver` is the routine that succeeded.
template <Real T>
struct ThinSvd {
  Matrix<T> U;
  std::vector<T> S;
  Matrix<T> V;
  SvdDriver driver;
};

/// G = vectors·diag(values)·vectorsᵀ, values in falling order. No vectors when only values were asked for.
struct SymmetricEigen {
  std::vector<double> values;
  Matrix<double> vectors;
};

/// A·P = Q·[R; 0 R22]: the leading rows of R (on the host), column j of A·P is column permutation[j] of A, and what is
/// left, remainder = ‖R22‖_F (0 when R has all min(m, n) rows).
template <Real T>
struct PivotedQr {
  Matrix<T> R;
  std::vector<Index> permutation;
  double remainder = 0;
};

/// P·(scale·A) = L·U in float, as getrf leaves it. The device that made it reads it.
struct LuFactors {
  Matrix<float> LU;
  std::vector<int> pivots;
  double scale = 1;
};

enum class Transpose { no, yes };

/// What the entries of a product are rounded to on their way into it: bfloat16 has 8 bits, TF32 (of matrices in float,
/// on GPUs) 11, float 24.
enum class Rounding { to_bfloat16, to_tf32, to_float };

/// What a device implements, once for float and once for double. See the functions below for what is to be done: shapes
/// are checked, all views live on the device, and a view may be of either order, with any leading dimension.
template <Real T>
class Primitives {
 public:
  virtual ~Primitives() = default;
  virtual void multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) const = 0;
  /// Whether multiply_rounded is faster than a product in T, and there at all.
  virtual bool multiplies_rounded(Rounding) const { return false; }
  virtual void multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X,
                                MatrixView<float> C) const;
  /// Whether multiply_normal, or multiply_normal_rounded, is faster than the two products.
  virtual bool fuses_normal(MatrixView<const T>, Index /*columns*/, bool /*rounded*/) const { return false; }
  virtual void multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const;
  virtual void multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                                       MatrixView<float> Z) const;
  virtual Matrix<double> gram(MatrixView<const T> X) const = 0;
  virtual void solve_upper_right(MatrixView<T> X, MatrixView<const double> R) const = 0;
  virtual Matrix<double> householder_qr(MatrixView<T> X) const = 0;
  virtual PivotedQr<T> pivoted_qr(MatrixView<const T> A, double tolerance) const = 0;
  virtual std::optional<Matrix<double>> upper_inverse(MatrixView<const T> R) const = 0;
  virtual std::optional<LuFactors> lu_in_float(MatrixView<const T> A, double scale) const = 0;
  virtual void lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) const = 0;
  virtual ThinSvd<T> thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const = 0;
  virtual double frobenius_norm(MatrixView<const T> X) const = 0;
  virtual double difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) const;
  virtual std::vector<double> column_norms(MatrixView<const T> X) const = 0;
  virtual std::optional<Entry> first_nonfinite(MatrixView<const T> X) const = 0;
  virtual std::vector<Entry> largest_in_columns(MatrixView<const T> X) const = 0;
  virtual void scale_columns(MatrixView<T> X, const std::vector<double>& by) const = 0;
  virtual void add(T alpha, MatrixView<const T> X, MatrixView<T> Y) const = 0;
  virtual void copy(MatrixView<const T> from, MatrixView<T> to) const = 0;
  virtual void fill(MatrixView<T> X, T value) const = 0;
  virtual void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) const = 0;
};

/// C ← alpha·A·B + beta·C. With beta = 0 the old C is not read. C must share no memory with A or B. 2·m·n·k flops.
template <Real T>
void multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C);

/// Whether multiply_rounded is faster on this device than a product in T, and there at all.
template <Real T>
bool multiplies_rounded(const Device& device, Rounding to);

/// C ← A·X with sums in float, the entries of A and X rounded on their way (to_float: those of A): no copy of A is
/// made. Entries must lie within float's range. Only where multiplies_rounded; else std::logic_error. 2·m·n·k flops.
template <Real T>
void multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> C);

/// Whether one sweep over A is faster than two products with so many columns: of A with panels in T, or with panels in
/// float where `rounded`.
template <Real T>
bool fuses_normal(MatrixView<const T> A, Index columns, bool rounded = false);

/// Y ← A·X and Z ← Aᵀ·Y; 4·m·n·k flops.
template <Real T>
void multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z);

/// The same with the entries of A rounded to float, where multiplies_rounded says so.
template <Real T>
void multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                             MatrixView<float> Z);

/// A·B in a new column-major matrix.
template <Real T>
Matrix<T> product(MatrixView<const T> A, MatrixView<const T> B);

/// XᵀX, accumulated in double. m·k² flops.
template <Real T>
Matrix<double> gram(MatrixView<const T> X);

/// X ← X·R⁻¹ for an upper triangular k×k R without zeros on its diagonal.
template <Real T>
void solve_upper_right(MatrixView<T> X, MatrixView<const double> R);

/// X = Q·R by Householder reflections, X (m ≥ k) is overwritten by Q. R's diagonal is not negative. Any X,
/// rank-deficient too, gives an orthonormal Q. 4·m·k² flops.
template <Real T>
Matrix<double> householder_qr(MatrixView<T> X);

/// QR with column pivoting. A tolerance that is not negative stops it: R has the fewest leading rows for which the
/// remainder, measured, is at most `tolerance`. Small matrices by LAPACK's geqp3, |R(i, i)| falling. Large ones in
/// blocks whose pivots a sketch G·A chooses (HQRRP: Martinsson, Quintana-Ortí, Heavner, van de Geijn 2017; by LU of the
/// sketch as in BQRRP: Melnichenko et al. 2025): |R(i, i)| falls within a small factor. 4·m·n·r - 2·r²·(m + n) +
/// 4/3·r³ flops for r rows, in matrix products.
template <Real T>
PivotedQr<T> pivoted_qr(MatrixView<const T> A, double tolerance = -1);

/// R⁻¹ of a square upper triangular R (what lies below the diagonal is not read), in double on R's device; nothing when
/// an entry of R's diagonal is 0. n³/3 flops.
template <Real T>
std::optional<Matrix<double>> upper_inverse(MatrixView<const T> R);

/// The LU factorization with partial pivoting of scale·A rounded to float, A square: an approximate inverse that costs
/// 2/3·n³ flops at float's rate. `scale` brings A into float's range. Nothing when A is singular to float's rounding,
/// as far as that shows on the way; less work then. (What is singular and goes unnoticed gives solutions with large
/// residuals, NaN or Inf.)
template <Real T>
std::optional<LuFactors> lu_in_float(MatrixView<const T> A, double scale);

/// X ← A⁻¹·X or A⁻ᵀ·X, as good as float and the condition of A allow.
template <Real T>
void lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X);

/// The thin SVD by LAPACK; A is kept. Drivers are tried from `first` on until one converges: gesdd, gesvd,
/// one-sided Jacobi. Throws Error when none does. Entries must be finite. About 4·m·n² + 22·n³ flops for
/// m ≥ n with vectors, 4·m·n² - 4/3·n³ without, half of them at memory speed.
template <Real T>
ThinSvd<T> thin_svd(MatrixView<const T> A, Vectors vectors = Vectors::thin, SvdDriver first = SvdDriver::gesdd);

/// The eigenvalues of a symmetric matrix on the host (its lower triangle is read), by LAPACK's syevd, or nothing where
/// that does not converge.
/// Each is good to about n·eps times the largest. Entries must be finite. About 4/3·n³ flops without vectors, 9·n³
/// with.
std::optional<SymmetricEigen> symmetric_eigen(MatrixView<const double> G, Vectors vectors);

/// ‖X‖_F in double, without overflow or underflow; NaN or Inf if an entry is.
template <Real T>
double frobenius_norm(MatrixView<const T> X);

/// ‖X - L·R‖_F likewise, without a difference as large as X in memory. 2·m·n·k flops.
template <Real T>
double difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R);

/// ‖X(:,j)‖₂ for each j, likewise.
template <Real T>
std::vector<double> column_norms(MatrixView<const T> X);

/// The first NaN or Inf in storage order, if there is one.
template <Real T>
std::optional<Entry> first_nonfinite(MatrixView<const T> X);

/// The entry of largest magnitude of each column; the first of equals.
template <Real T>
std::vector<Entry> largest_in_columns(MatrixView<const T> X);

/// X(:,j) ← by[j]·X(:,j).
template <Real T>
void scale_columns(MatrixView<T> X, const std::vector<double>& by);

/// Y ← Y + alpha·X.
template <Real T>
void add(T alpha, MatrixView<const T> X, MatrixView<T> Y);

/// to ← from; the orders may differ, and so may the devices.
template <Real T>
void copy(MatrixView<const T> from, MatrixView<T> to);

/// A small matrix of the host's, rounded to T, on `device`: a rotation on its way to a panel.
template <Real T>
Matrix<T> from_double(MatrixView<const double> X, Device& device);

/// The entries of a small matrix on the host, in double.
template <Real T>
Matrix<double> to_double(MatrixView<const T> X);

template <Real T>
void fill(MatrixView<T> X, T value);

/// Standard normal entries, a function of (seed, stream, first_row + i, j) alone: the same bits for any thread count,
/// order, block and device (see random.hpp).
template <Real T>
void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row = 0);

}  // namespace lowrank
