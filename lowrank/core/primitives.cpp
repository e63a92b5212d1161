#include <fmt/core.h>

#include <algorithm>
#include <cmath>
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

bool on_host(const Device& device) { return &device == &host_device(); }

/// The lines (columns or rows) of a matrix of that order, and blocks of them.
template <Real T, class View>
Index line_count(const View& X, Order order) {
  return order == Order::col_major ? X.cols() : X.rows();
}
template <class View>
View middle_lines(const View& X, Order order, Index first, Index count) {
  return order == Order::col_major ? X.middle_cols(first, count) : X.middle_rows(first, count);
}

/// Between the host and a device, both views of one order.
template <Real T>
void transfer(MatrixView<const T> from, MatrixView<T> to) {
  const Index lines = line_count<T>(to, to.order()), size = static_cast<Index>(sizeof(T));
  const Index bytes = to.size() / lines * size, from_stride = from.ld() * size, to_stride = to.ld() * size;
  if (on_host(from.device()))
    to.device().upload(from.data(), to.data(), {bytes, lines, from_stride, to_stride});
  else
    from.device().download(from.data(), to.data(), {bytes, lines, to_stride, from_stride});
}

/// Where there is no direct way (other orders, two devices), by blocks on the host that have the order of the far side.
template <Real T>
void copy_across(MatrixView<const T> from, MatrixView<T> to) {
  const bool from_host = on_host(from.device()), to_host = on_host(to.device());
  if (from.order() == to.order() && (from_host || to_host)) return transfer<T>(from, to);
  const Order order = from_host ? to.order() : from.order();
  const Index lines = line_count<T>(to, order);
  const Index block = std::clamp<Index>((Index{1} << 23) * lines / to.size(), 1, lines);
  for (Index first = 0; first < lines; first += block) {
    const MatrixView<const T> source = middle_lines(from, order, first, std::min(block, lines - first));
    Matrix<T> staged(source.rows(), source.cols(), order);
    copy<T>(source, staged);
    copy<T>(staged, middle_lines(to, order, first, std::min(block, lines - first)));
  }
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
void Primitives<T>::multiply_rounded(Rounding, MatrixView<const T>, MatrixView<const float>, MatrixView<float>) const {
  throw std::logic_error("multiply_rounded: this device has no such product");
}
template <Real T>
void Primitives<T>::multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y,
                                    MatrixView<T> Z) const {
  multiply(1, A, X, 0, Y);
  multiply(1, A.transposed(), Y, 0, Z);
}
template <Real T>
void Primitives<T>::multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                                            MatrixView<float> Z) const {
  multiply_rounded(Rounding::to_float, A, X, Y);
  multiply_rounded(Rounding::to_float, A.transposed(), Y, Z);
}
/// In blocks of rows small enough for a cache to help and wide enough for the product.
template <Real T>
double Primitives<T>::difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) const {
  const Index block = std::clamp<Index>((Index{1} << 21) / std::max<Index>(1, X.cols()), 16, 1024);
  double norm = 0;
  for (Index i = 0; i < X.rows(); i += block) {
    const Index rows = std::min(block, X.rows() - i);
    Matrix<T> E = Matrix<T>::copy_of(X.middle_rows(i, rows), X.order());
    multiply(T(-1), L.middle_rows(i, rows), R, T(1), E);
    norm = std::hypot(norm, frobenius_norm(E));
  }
  return norm;
}
template class Primitives<float>;
template class Primitives<double>;

template <Real T>
bool multiplies_rounded(const Device& device, Rounding to) {
  return device.primitives<T>().multiplies_rounded(to);
}

template <Real T>
void multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> C) {
  require(A.cols() == X.rows(), "multiply_rounded", A.rows(), A.cols(), X.rows(), X.cols());
  require(C.rows() == A.rows() && C.cols() == X.cols(), "multiply_rounded (result)", A.rows(), X.cols(), C.rows(),
          C.cols());
  require_same_device("multiply_rounded", A, X);
  require_same_device("multiply_rounded", A, C);
  if (!C.empty()) on<T>(A).multiply_rounded(to, A, X, C);
}

template <Real T>
bool fuses_normal(MatrixView<const T> A, Index columns, bool rounded) {
  return on<T>(A).fuses_normal(A, columns, rounded);
}

namespace {

template <Real S, Real T>
void require_normal(const char* name, MatrixView<const S> A, MatrixView<const T> X, MatrixView<const T> Y,
                    MatrixView<const T> Z) {
  require(A.cols() == X.rows(), name, A.rows(), A.cols(), X.rows(), X.cols());
  require(Y.rows() == A.rows() && Y.cols() == X.cols(), name, A.rows(), X.cols(), Y.rows(), Y.cols());
  require(Z.rows() == X.rows() && Z.cols() == X.cols(), name, X.rows(), X.cols(), Z.rows(), Z.cols());
  require_same_device(name, A, X);
  require_same_device(name, A, Y);
  require_same_device(name, A, Z);
}

}  // namespace

template <Real T>
void multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) {
  require_normal<T, T>("multiply_normal", A, X, Y, Z);
  if (A.empty() || X.cols() == 0) return fill<T>(Y, 0), fill<T>(Z, 0);
  on<T>(A).multiply_normal(A, X, Y, Z);
}

template <Real T>
void multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                             MatrixView<float> Z) {
  require_normal<T, float>("multiply_normal_rounded", A, X, Y, Z);
  if (A.empty() || X.cols() == 0) return fill<float>(Y, 0), fill<float>(Z, 0);
  on<T>(A).multiply_normal_rounded(A, X, Y, Z);
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
  if (!on_host(R.device())) throw std::invalid_argument("solve_upper_right: R must be on the host");
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
double difference_norm(MatrixView<const T> X, MatrixView<const T> L, MatrixView<const T> R) {
  require(L.cols() == R.rows(), "difference_norm", L.rows(), L.cols(), R.rows(), R.cols());
  require(X.rows() == L.rows() && X.cols() == R.cols(), "difference_norm", X.rows(), X.cols(), L.rows(), R.cols());
  require_same_device("difference_norm", X, L);
  require_same_device("difference_norm", X, R);
  return L.cols() == 0 ? frobenius_norm<T>(X) : on<T>(X).difference_norm(X, L, R);
}

template <Real T>
std::vector<double> column_norms(MatrixView<const T> X) {
  return on<T>(X).column_norms(X);
}

template <Real T>
std::optional<Entry> first_nonfinite(MatrixView<const T> X) {
  return on<T>(X).first_nonfinite(X);
}

template <Real T>
std::vector<Entry> largest_in_columns(MatrixView<const T> X) {
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
void add(T alpha, MatrixView<const T> X, MatrixView<T> Y) {
  require(X.rows() == Y.rows() && X.cols() == Y.cols(), "add", X.rows(), X.cols(), Y.rows(), Y.cols());
  require_same_device("add", X, Y);
  if (!X.empty()) on<T>(X).add(alpha, X, Y);
}

template <Real T>
void copy(MatrixView<const T> from, MatrixView<T> to) {
  require(from.rows() == to.rows() && from.cols() == to.cols(), "copy", from.rows(), from.cols(), to.rows(), to.cols());
  if (from.empty()) return;
  if (&from.device() == &to.device())
    on<T>(from).copy(from, to);
  else
    copy_across<T>(from, to);
}

namespace {

/// On the host.
template <Real To, Real From>
Matrix<To> converted(MatrixView<const From> X) {
  constexpr Index parallel_from = 1 << 16;
  Matrix<To> result(X.rows(), X.cols());
#pragma omp parallel for schedule(static) if (X.size() >= parallel_from)
  for (Index j = 0; j < X.cols(); ++j)
    for (Index i = 0; i < X.rows(); ++i) result(i, j) = static_cast<To>(X(i, j));
  return result;
}

}  // namespace

template <Real T>
Matrix<T> from_double(MatrixView<const double> X, Device& device) {
  if (!on_host(X.device())) throw std::invalid_argument("from_double: the matrix must be on the host");
  Matrix<T> narrow = converted<T>(X);
  if (on_host(device)) return narrow;
  return narrow.to(device);
}

template <Real T>
Matrix<double> to_double(MatrixView<const T> X) {
  if (!on_host(X.device())) {
    Matrix<T> here(X.rows(), X.cols(), X.order());
    copy<T>(X, here);
    return to_double<T>(here);
  }
  return converted<double>(X);
}

template <Real T>
void fill(MatrixView<T> X, T value) {
  on<T>(X).fill(X, value);
}

template <Real T>
void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) {
  on<T>(X).fill_normal(X, seed, stream, first_row);
}

#define LOWRANK_INSTANTIATE(T)                                                                                  \
  template void multiply<T>(T, MatrixView<const T>, MatrixView<const T>, T, MatrixView<T>);                     \
  template Matrix<T> product<T>(MatrixView<const T>, MatrixView<const T>);                                      \
  template Matrix<double> gram<T>(MatrixView<const T>);                                                         \
  template void solve_upper_right<T>(MatrixView<T>, MatrixView<const double>);                                  \
  template Matrix<double> householder_qr<T>(MatrixView<T>);                                                     \
  template PivotedQr<T> pivoted_qr<T>(MatrixView<const T>, double);                                             \
  template std::optional<Matrix<double>> upper_inverse<T>(MatrixView<const T>);                                 \
  template std::optional<LuFactors> lu_in_float<T>(MatrixView<const T>, double);                                \
  template bool multiplies_rounded<T>(const Device&, Rounding);                                                 \
  template bool fuses_normal<T>(MatrixView<const T>, Index, bool);                                              \
  template void multiply_normal<T>(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, MatrixView<T>);     \
  template void multiply_normal_rounded<T>(MatrixView<const T>, MatrixView<const float>, MatrixView<float>,     \
                                           MatrixView<float>);                                                  \
  template void multiply_rounded<T>(Rounding, MatrixView<const T>, MatrixView<const float>, MatrixView<float>); \
  template void lu_solve<T>(const LuFactors&, Transpose, MatrixView<T>);                                        \
  template ThinSvd<T> thin_svd<T>(MatrixView<const T>, Vectors, SvdDriver);                                     \
  template double frobenius_norm<T>(MatrixView<const T>);                                                       \
  template double difference_norm<T>(MatrixView<const T>, MatrixView<const T>, MatrixView<const T>);            \
  template std::vector<double> column_norms<T>(MatrixView<const T>);                                            \
  template std::optional<Entry> first_nonfinite<T>(MatrixView<const T>);                                        \
  template std::vector<Entry> largest_in_columns<T>(MatrixView<const T>);                                       \
  template void scale_columns<T>(MatrixView<T>, const std::vector<double>&);                                    \
  template void add<T>(T, MatrixView<const T>, MatrixView<T>);                                                  \
  template void copy<T>(MatrixView<const T>, MatrixView<T>);                                                    \
  template Matrix<T> from_double<T>(MatrixView<const double>, Device&);                                         \
  template Matrix<double> to_double<T>(MatrixView<const T>);                                                    \
  template void fill<T>(MatrixView<T>, T);                                                                      \
  template void fill_normal<T>(MatrixView<T>, std::uint64_t, std::uint64_t, Index);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
