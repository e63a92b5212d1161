#include <fmt/core.h>

#include <lowrank/core/primitives.hpp>

namespace lowrank {
namespace {

void require(bool holds, const char* function, Index r1, Index c1, Index r2, Index c2) {
  if (!holds)
    throw std::invalid_argument(fmt::format("{}: shapes {}x{} and {}x{} do not fit", function, r1, c1, r2, c2));
}

template <class A, class B>
void require_same_device(const char* function, const A& a, const B& b) {
  if (&a.device() != &b.device())
    throw std::invalid_argument(fmt::format("{}: the matrices live on different devices", function));
}

template <Real T, class View>
const Primitives<T>& on(const View& x) {
  return x.device().template primitives<T>();
}

}  // namespace

template <Real T>
void multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) {
  require(A.cols() == B.rows(), "multiply", A.rows(), A.cols(), B.rows(), B.cols());
  require(C.rows() == A.rows() && C.cols() == B.cols(), "multiply (result)", A.rows(), B.cols(), C.rows(), C.cols());
  require_same_device("multiply", A, B);
  require_same_device("multiply", A, C);
  if (!C.empty()) on<T>(A).multiply(alpha, A, B, beta, C);
}

template <Real T>
Matrix<T> product(MatrixView<const T> A, MatrixView<const T> B) {
  Matrix<T> C(A.rows(), B.cols(), A.device());
  multiply<T>(T(1), A, B, T(0), C);
  return C;
}

template <Real T>
Matrix<double> gram(MatrixView<const T> X) {
  return on<T>(X).gram(X);
}

template <Real T>
void solve_upper_right(MatrixView<T> X, MatrixView<const double> R) {
  require(R.rows() == X.cols() && R.cols() == X.cols(), "solve_upper_right", X.rows(), X.cols(), R.rows(), R.cols());
  if (!X.empty()) on<T>(X).solve_upper_right(X, R);
}

template <Real T>
Matrix<double> householder_qr(MatrixView<T> X) {
  require(X.rows() >= X.cols(), "householder_qr (needs rows >= cols)", X.rows(), X.cols(), X.cols(), X.cols());
  return on<T>(X).householder_qr(X);
}

template <Real T>
PivotedQr<T> pivoted_qr(MatrixView<const T> A, double tolerance) {
  return on<T>(A).pivoted_qr(A, tolerance);
}

template <Real T>
std::optional<Matrix<double>> upper_inverse(MatrixView<const T> R) {
  require(R.rows() == R.cols(), "upper_inverse (needs a square)", R.rows(), R.cols(), R.cols(), R.cols());
  return on<T>(R).upper_inverse(R);
}

template <Real T>
std::optional<LuFactors> lu_in_float(MatrixView<const T> A, double scale) {
  require(A.rows() == A.cols(), "lu_in_float (needs a square)", A.rows(), A.cols(), A.cols(), A.cols());
  return on<T>(A).lu_in_float(A, scale);
}

template <Real T>
void lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) {
  require(X.rows() == lu.LU.rows(), "lu_solve", lu.LU.rows(), lu.LU.cols(), X.rows(), X.cols());
  require_same_device("lu_solve", lu.LU, X);
  if (!X.empty()) on<T>(X).lu_solve(lu, transpose, X);
}

template <Real T>
ThinSvd<T> thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) {
  return on<T>(A).thin_svd(A, vectors, first);
}

template <Real T>
double frobenius_norm(MatrixView<const T> X) {
  return on<T>(X).frobenius_norm(X);
}

template <Real T>
std::vector<double> column_norms(MatrixView<const T> X) {
  return on<T>(X).column_norms(X);
}

template <Real T>
std::optional<Position> first_nonfinite(MatrixView<const T> X) {
  return on<T>(X).first_nonfinite(X);
}

template <Real T>
std::vector<Position> largest_in_columns(MatrixView<const T> X) {
  require(X.rows() > 0 || X.cols() == 0, "largest_in_columns (needs a row)", X.rows(), X.cols(), 1, X.cols());
  return on<T>(X).largest_in_columns(X);
}

template <Real T>
void scale_columns(MatrixView<T> X, const std::vector<double>& by) {
  const Index count = static_cast<Index>(by.size());
  require(count == X.cols(), "scale_columns", X.rows(), X.cols(), 1, count);
  on<T>(X).scale_columns(X, by);
}

template <Real T>
void copy(MatrixView<const T> from, MatrixView<T> to) {
  require(from.rows() == to.rows() && from.cols() == to.cols(), "copy", from.rows(), from.cols(), to.rows(), to.cols());
  require_same_device("copy", from, to);
  if (!from.empty()) on<T>(from).copy(from, to);
}

template <Real T>
void fill(MatrixView<T> X, T value) {
  on<T>(X).fill(X, value);
}

template <Real T>
void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) {
  on<T>(X).fill_normal(X, seed, stream, first_row);
}

#define LOWRANK_INSTANTIATE(T)                                                              \
  template void multiply<T>(T, MatrixView<const T>, MatrixView<const T>, T, MatrixView<T>); \
  template Matrix<T> product<T>(MatrixView<const T>, MatrixView<const T>);                  \
  template Matrix<double> gram<T>(MatrixView<const T>);                                     \
  template void solve_upper_right<T>(MatrixView<T>, MatrixView<const double>);              \
  template Matrix<double> householder_qr<T>(MatrixView<T>);                                 \
  template PivotedQr<T> pivoted_qr<T>(MatrixView<const T>, double);                         \
  template std::optional<Matrix<double>> upper_inverse<T>(MatrixView<const T>);             \
  template std::optional<LuFactors> lu_in_float<T>(MatrixView<const T>, double);            \
  template void lu_solve<T>(const LuFactors&, Transpose, MatrixView<T>);                    \
  template ThinSvd<T> thin_svd<T>(MatrixView<const T>, Vectors, SvdDriver);                 \
  template double frobenius_norm<T>(MatrixView<const T>);                                   \
  template std::vector<double> column_norms<T>(MatrixView<const T>);                        \
  template std::optional<Position> first_nonfinite<T>(MatrixView<const T>);                 \
  template std::vector<Position> largest_in_columns<T>(MatrixView<const T>);                \
  template void scale_columns<T>(MatrixView<T>, const std::vector<double>&);                \
  template void copy<T>(MatrixView<const T>, MatrixView<T>);                                \
  template void fill<T>(MatrixView<T>, T);                                                  \
  template void fill_normal<T>(MatrixView<T>, std::uint64_t, std::uint64_t, Index);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
