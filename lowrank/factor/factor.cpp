#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <lowrank/factor/factor.hpp>
#include <lowrank/op/entries.hpp>
#include <lowrank/op/moved.hpp>

namespace lowrank {

template <Real T>
Factors<T> make_factors(const Svd<T>& svd, Split split) {
  std::vector<double> left(svd.S.begin(), svd.S.end()), right(svd.S.size(), 1.0);
  if (split == Split::sqrt)
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = right[i] = std::sqrt(left[i]);
  Factors<T> factors{Matrix<T>::copy_of(svd.U, Order::row_major),
                     Matrix<T>::copy_of(svd.V.view().transposed(), Order::row_major)};
  scale_columns<T>(factors.B, left);
  scale_columns<T>(factors.A.view().transposed(), right);
  const Index m = svd.U.rows(), n = svd.V.rows(), r = svd.rank();
  factors.parameters_before = checked_product(m, n);
  factors.parameters_after = checked_product(m + n, r);
  return factors;
}

namespace {

/// Y ← Y + b·1ᵀ.
template <Real T>
void add_to_columns(MatrixView<const T> b, MatrixView<T> Y) {
  Matrix<T> ones(1, Y.cols(), Y.device());
  fill<T>(ones, T(1));
  multiply<T>(T(1), b, ones, T(1), Y);
}

}  // namespace

template <Real T>
Matrix<T> apply_factors(MatrixView<const T> B, MatrixView<const T> A, MatrixView<const T> X, MatrixView<const T> bias) {
  const Matrix<T> inner = product<T>(A, X);
  Matrix<T> Y = product<T>(B, inner);
  if (bias.size() == 0) return Y;
  if (bias.rows() != Y.rows() || bias.cols() != 1)
    throw std::invalid_argument(
        fmt::format("apply_factors: the bias is {}x{}, the output has {} rows", bias.rows(), bias.cols(), Y.rows()));
  add_to_columns<T>(bias, Y);
  return Y;
}

namespace {

void require_shape(std::string_view what, Index rows, Index cols, Index wanted_rows, Index wanted_cols) {
  if (rows != wanted_rows || cols != wanted_cols)
    throw std::invalid_argument(
        fmt::format("verify_factors: {} is {}x{}, {}x{} is needed", what, rows, cols, wanted_rows, wanted_cols));
}

template <Real T>
void require_finite(std::string_view what, MatrixView<const T> X) {
  try {
    finite_norm<T>(X);
  } catch (const std::invalid_argument& e) {
    throw std::invalid_argument(fmt::format("verify_factors: {}: {}", what, e.what()));
  }
}

template <Real T>
Matrix<T> copy_on(Device& device, MatrixView<const T> X) {
  Matrix<T> copied(X.rows(), X.cols(), X.order(), device);
  copy<T>(X, copied);
  return copied;
}

/// A view of X where it is on the device, else of a copy there, which `kept` holds.
template <Real T>
MatrixView<const T> on(Device& device, MatrixView<const T> X, Matrix<T>& kept) {
  if (&X.device() == &device) return X;
  kept = copy_on<T>(device, X);
  return kept;
}

template <Real T>
Matrix<T> given_or_normal(const std::optional<MatrixView<const T>>& given, Index rows, Index cols, std::uint64_t seed,
                          std::uint64_t stream, Device& device) {
  if (given) return copy_on<T>(device, *given);
  Matrix<T> X(rows, cols, device);
  fill_normal<T>(X, seed, stream);
  return X;
}

/// The largest magnitude; NaN where there is one.
template <Real T>
double largest_magnitude(MatrixView<const T> X, const std::vector<double>& column_norms) {
  double largest = 0;
  if (X.empty()) return largest;
  for (const double norm : column_norms)
    if (std::isnan(norm)) return norm;
  for (const Entry& entry : largest_in_columns<T>(X)) largest = std::max(largest, std::abs(entry.value));
  return largest;
}

/// On options.device, and back.
template <Real T>
Verification<T> moved_verify(const LinearOperator<T>& W, MatrixView<const T> B, MatrixView<const T> A,
                             const VerifyOptions<T>& options) {
  const auto start = std::chrono::steady_clock::now();
  const Moved<T> moved = moved_to(W, *options.device);
  VerifyOptions<T> there = options;
  there.device = nullptr;
  Verification<T> v = verify_factors<T>(*moved.op, B, A, there);
  v.y = v.y.to(W.device());
  v.y_factored = v.y_factored.to(W.device());
  v.note = moved.note;
  v.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return v;
}

}  // namespace

template <Real T>
Verification<T> verify_factors(const LinearOperator<T>& W, MatrixView<const T> B_given, MatrixView<const T> A_given,
                               const VerifyOptions<T>& options) {
  if (options.device != nullptr && options.device != &W.device()) return moved_verify(W, B_given, A_given, options);
  const auto start = std::chrono::steady_clock::now();
  const Index m = W.rows(), n = W.cols();
  require_shape("B", B_given.rows(), B_given.cols(), m, A_given.rows());
  require_shape("A", A_given.rows(), A_given.cols(), B_given.cols(), n);
  if (options.bias) require_shape("the bias", options.bias->rows(), options.bias->cols(), m, 1);
  if (options.input) require_shape("the input", options.input->rows(), options.input->cols(), n, options.input->cols());
  if (const Index k = options.input ? options.input->cols() : options.inputs; k < 1)
    throw std::invalid_argument(fmt::format("verify_factors: {} inputs tell nothing", k));
  if (std::isnan(options.rtol)) throw std::invalid_argument("verify_factors: the tolerance is NaN");
  Matrix<T> B_kept, A_kept;
  const MatrixView<const T> B = on<T>(W.device(), B_given, B_kept), A = on<T>(W.device(), A_given, A_kept);
  const Matrix<T> x = given_or_normal(options.input, n, options.inputs, options.seed, 0, W.device());
  const Matrix<T> b = given_or_normal(options.bias, m, 1, options.seed, 1, W.device());
  require_finite<T>("B", B);
  require_finite<T>("A", A);
  require_finite<T>("the input", x);
  require_finite<T>("the bias", b);
  double norm = 0;
  if (const auto known = known_norm(W)) norm = *known;

  Verification<T> v;
  v.tolerance = options.rtol >= 0 ? options.rtol : std::is_same_v<T, float> ? 1e-5 : 1e-10;
  v.y = Matrix<T>(m, x.cols(), W.device());
  W.multiply(x, v.y);
  v.y_factored = apply_factors<T>(B, A, x);

  // Without the bias, which both have: beside a large one W·x would count for nothing.
  Matrix<T> difference = v.y.clone();
  add<T>(T(-1), v.y_factored, difference);
  const std::vector<double> errors = column_norms<T>(difference), sizes = column_norms<T>(v.y),
                            inputs = column_norms<T>(x);
  v.max_abs_error = largest_magnitude<T>(difference, errors);
  for (std::size_t j = 0; j < errors.size(); ++j) {
    const double typical = norm * inputs[j] / std::sqrt(static_cast<double>(std::max<Index>(n, 1)));
    const double size = std::max(sizes[j], typical);
    const double relative = errors[j] == 0 ? 0 : errors[j] / size;
    // NaN must not slip through a comparison.
    if (!(relative <= v.relative_error)) v.relative_error = relative;
  }
  v.equal = v.relative_error <= v.tolerance;
  add_to_columns<T>(b, v.y);
  add_to_columns<T>(b, v.y_factored);
  v.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return v;
}

#define LOWRANK_INSTANTIATE(T)                                                                                \
  template Factors<T> make_factors(const Svd<T>&, Split);                                                     \
  template Matrix<T> apply_factors(MatrixView<const T>, MatrixView<const T>, MatrixView<const T>,             \
                                   MatrixView<const T>);                                                      \
  template Verification<T> verify_factors(const LinearOperator<T>&, MatrixView<const T>, MatrixView<const T>, \
                                          const VerifyOptions<T>&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
