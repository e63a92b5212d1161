#include <cblas.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/op/dense.hpp>
#include <lowrank/svd/orthonormalize.hpp>

#include "benchmarks.hpp"
#include "machine.hpp"

namespace lowrank::bench {
namespace {

void blas_gemm(CBLAS_TRANSPOSE ta, int m, int n, int k, const float* a, int lda, const float* b, float* c) {
  cblas_sgemm(CblasColMajor, ta, CblasNoTrans, m, n, k, 1, a, lda, b, k, 0, c, m);
}
void blas_gemm(CBLAS_TRANSPOSE ta, int m, int n, int k, const double* a, int lda, const double* b, double* c) {
  cblas_dgemm(CblasColMajor, ta, CblasNoTrans, m, n, k, 1, a, lda, b, k, 0, c, m);
}
void blas_syrk(int n, int k, const float* x, float* c) {
  cblas_ssyrk(CblasColMajor, CblasUpper, CblasTrans, n, k, 1, x, k, 0, c, n);
}
void blas_syrk(int n, int k, const double* x, double* c) {
  cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, n, k, 1, x, k, 0, c, n);
}

/// Y = op(A)·X by one call of OpenBLAS.
template <Real T>
void openblas_product(MatrixView<const T> A, const Matrix<T>& X, Matrix<T>& Y) {
  const bool by_rows = A.order() == Order::row_major;
  blas_gemm(by_rows ? CblasTrans : CblasNoTrans, blas_int(A.rows()), blas_int(X.cols()), blas_int(A.cols()), A.data(),
            blas_int(A.ld()), X.data(), Y.data());
}

/// The error of Y = A·X in some of its rows against sums in extended precision, relative to ‖a_i‖·‖x_j‖, in eps.
template <Real T>
double product_error(MatrixView<const T> A, MatrixView<const T> X, MatrixView<const T> Y) {
  constexpr Index sampled = 12;
  const Index step = std::max<Index>(1, A.rows() / sampled);
  double worst = 0;
  for (Index i = A.rows() - 1; i >= 0; i -= step)
    for (Index j = 0; j < X.cols(); j += std::max<Index>(1, X.cols() / 16)) {
      long double sum = 0, row = 0, col = 0;
      for (Index l = 0; l < A.cols(); ++l) {
        const long double a = A(i, l), x = X(l, j);
        sum += a * x, row += a * a, col += x * x;
      }
      const long double scale = std::sqrt(row * col);
      if (scale > 0)
        worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(Y(i, j)) - sum) / scale));
    }
  return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

/// max |QᵀQ - I| in eps, summed in double by plain loops.
template <Real T>
double defect(const Matrix<T>& Q) {
  double worst = 0;
  for (Index i = 0; i < Q.cols(); ++i)
    for (Index j = i; j < Q.cols(); j += std::max<Index>(1, Q.cols() / 16)) {
      double sum = i == j ? -1 : 0;
      for (Index l = 0; l < Q.rows(); ++l) sum += static_cast<double>(Q(l, i)) * static_cast<double>(Q(l, j));
      worst = std::max(worst, std::abs(sum));
    }
  return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

/// One kernel at one size: ours and the reference's, with their errors.
struct Measured {
  std::string kernel, dtype, order;
  Index columns;
  double flops, bytes;
  Samples ours, reference;
  std::string reference_name;
  double our_error, reference_error;
};

template <Real T>
class Kernels {
 public:
  Kernels(const Options& options, Index rows, Index cols, Order order)
      : repeats_(options.repeats), A_(rows, cols, order), op_(A_.view()) {
    fill_normal<T>(A_, options.seed, 1);
  }

  std::vector<Measured> all(Index columns) {
    std::vector<Measured> result{forward(columns), adjoint(columns), normal(columns)};
    for (const Rounding to : {Rounding::to_bfloat16, Rounding::to_float})
      if (const auto op = op_.rounded(to)) result.push_back(rounded(*op, to, columns));
    // These do not touch A: once is enough.
    if (A_.order() == Order::col_major && columns <= A_.rows()) {
      result.push_back(gram_matrix(columns));
      result.push_back(basis(columns));
    }
    return result;
  }

 private:
  Measured forward(Index k) {
    Matrix<T> X = panel(A_.cols(), k), Y(A_.rows(), k), Z(A_.rows(), k);
    Measured m = described("A*X", k, 1);
    m.bytes = bytes(A_.size() + X.size() + Y.size());
    compare(
        m, [&] { op_.multiply(X.view(), Y); }, [&] { openblas_product<T>(A_.view(), X, Z); });
    m.our_error = product_error<T>(A_.view(), X, Y), m.reference_error = product_error<T>(A_.view(), X, Z);
    return m;
  }

  /// With entries rounded on their way, as the first passes of a truncated SVD are; the reference does not round.
  Measured rounded(const LinearOperator<float>& op, Rounding to, Index k) {
    const Matrix<T> X = panel(A_.cols(), k);
    const Matrix<float> x = from_double<float>(to_double<T>(X), A_.device());
    Matrix<float> y(A_.rows(), k);
    Matrix<T> Z(A_.rows(), k);
    Measured m = described(to == Rounding::to_float ? "A*X in float" : "A*X in bfloat16", k, 1);
    m.bytes = bytes(A_.size());
    compare(
        m, [&] { op.multiply(x, y); }, [&] { openblas_product<T>(A_.view(), X, Z); });
    const Matrix<T> Y = from_double<T>(to_double<float>(y), A_.device());
    m.our_error = product_error<T>(A_.view(), X, Y), m.reference_error = product_error<T>(A_.view(), X, Z);
    return m;
  }

  Measured adjoint(Index k) {
    Matrix<T> X = panel(A_.rows(), k), Y(A_.cols(), k), Z(A_.cols(), k);
    const MatrixView<const T> At = A_.view().transposed();
    Measured m = described("At*X", k, 1);
    m.bytes = bytes(A_.size() + X.size() + Y.size());
    compare(
        m, [&] { op_.multiply_adjoint(X.view(), Y); }, [&] { openblas_product<T>(At, X, Z); });
    m.our_error = product_error<T>(At, X, Y), m.reference_error = product_error<T>(At, X, Z);
    return m;
  }

  Measured normal(Index k) {
    Matrix<T> X = panel(A_.cols(), k), Y(A_.rows(), k), Z(A_.cols(), k), Y2(A_.rows(), k), Z2(A_.cols(), k);
    const MatrixView<const T> At = A_.view().transposed();
    Measured m = described("At*(A*X)", k, 2);
    m.bytes = bytes(A_.size() + X.size() + Y.size() + Z.size());
    const auto by_openblas = [&] {
      openblas_product<T>(A_.view(), X, Y2);
      openblas_product<T>(At, Y2, Z2);
    };
    compare(
        m, [&] { op_.multiply_normal(X.view(), Y, Z); }, by_openblas);
    m.our_error = std::max(product_error<T>(A_.view(), X, Y), product_error<T>(At, Y, Z));
    m.reference_error = std::max(product_error<T>(A_.view(), X, Y2), product_error<T>(At, Y2, Z2));
    return m;
  }

  Measured gram_matrix(Index k) {
    const Matrix<T> X = panel(A_.rows(), k);
    Matrix<double> G;
    Matrix<T> H(k, k);
    Measured m = described("gram", k, 0);
    m.order = "-";
    m.flops = static_cast<double>(X.rows()) * static_cast<double>(k) * static_cast<double>(k);
    m.bytes = bytes(X.size());
    compare(
        m, [&] { G = gram<T>(X.view()); }, [&] { blas_syrk(blas_int(k), blas_int(X.rows()), X.data(), H.data()); });
    for (Index j = 0; j < k; ++j)
      for (Index i = j + 1; i < k; ++i) H(i, j) = H(j, i);
    Matrix<T> rounded(k, k);
    for (Index j = 0; j < k; ++j)
      for (Index i = 0; i < k; ++i) rounded(i, j) = static_cast<T>(G(i, j));
    m.our_error = product_error<T>(X.view().transposed(), X, rounded);
    m.reference_error = product_error<T>(X.view().transposed(), X, H);
    return m;
  }

  /// Both overwrite their panel, so a copy of it is within the time.
  Measured basis(Index k) {
    const Matrix<T> X = panel(A_.rows(), k);
    Matrix<T> Q = X.clone(), H = X.clone();
    Measured m = described("orthonormalize", k, 0);
    m.order = "-";
    m.reference_name = "LAPACK QR";
    m.flops = 2 * static_cast<double>(X.rows()) * static_cast<double>(k) * static_cast<double>(k);
    m.bytes = bytes(2 * X.size());
    compare(
        m, [&] { copy<T>(X.view(), Q), orthonormalize<T>(Q); }, [&] { copy<T>(X.view(), H), householder_qr<T>(H); });
    m.our_error = defect(Q), m.reference_error = defect(H);
    return m;
  }

  static Matrix<T> panel(Index rows, Index k) {
    Matrix<T> X(rows, k);
    fill_normal<T>(X, 7, 2);
    return X;
  }
  static double bytes(Index entries) { return static_cast<double>(entries) * sizeof(T); }

  Measured described(const char* kernel, Index k, int sweeps) const {
    Measured m{};
    m.kernel = kernel, m.dtype = dtype_name<T>(), m.columns = k, m.reference_name = "OpenBLAS";
    m.order = A_.order() == Order::col_major ? "columns" : "rows";
    m.flops = 2.0 * sweeps * static_cast<double>(A_.size()) * static_cast<double>(k);
    return m;
  }

  void compare(Measured& m, std::function<void()> ours, std::function<void()> reference) const {
    std::vector<Contender> both{{std::move(ours)}, {std::move(reference)}};
    for (Contender& each : both) each.work();
    alternate(both, {.repeats = repeats_, .least_seconds = 2e-3, .budget = 5});
    m.ours = both[0].samples, m.reference = both[1].samples;
  }

  int repeats_;
  Matrix<T> A_;
  DenseOperator<T> op_;
};

void report(const Measured& m, const Rates& rates, Table& table, Json& json) {
  const double floor = rates.floor(m.flops, m.bytes), ours = m.ours.median(), reference = m.reference.median();
  table.add({m.kernel, m.dtype, m.order, std::to_string(m.columns), samples_text(m.ours),
             fmt::format("{:.3g}", m.flops / ours * 1e-9), fmt::format("{:.1f} eps", m.our_error), seconds_text(floor),
             percent_text(floor / ours), m.reference_name, samples_text(m.reference),
             fmt::format("{:.1f} eps", m.reference_error), fmt::format("{:.2f}", reference / ours)});
  json.push_back({{"kernel", m.kernel},
                  {"dtype", m.dtype},
                  {"order", m.order},
                  {"columns", m.columns},
                  {"seconds", as_json(m.ours)},
                  {"flops_per_second", m.flops / ours},
                  {"error_eps", m.our_error},
                  {"floor", floor},
                  {"of_floor", floor / ours},
                  {"reference", m.reference_name},
                  {"reference_seconds", as_json(m.reference)},
                  {"reference_error_eps", m.reference_error}});
}

}  // namespace

Json products_benchmark(const Options& options) {
  const Index rows = options.rows > 0 ? options.rows : 4096, cols = options.cols > 0 ? options.cols : 4096;
  const auto columns = or_default<Index>(options.columns, {1, 2, 4, 8, 10, 16, 32, 50, 64, 100, 128, 256, 512});
  Table table({"kernel", "dtype", "A by", "columns", "time (least - greatest)", "GF/s", "error", "floor", "of floor",
               "reference", "its time", "its error", "times faster"});
  Json json = Json::array();
  for (const std::string& dtype : or_default<std::string>(options.dtypes, {"f32", "f64"}))
    for_dtype(dtype, [&]<class T>() {
      const Rates rates = rates_for<T>(static_cast<double>(rows) * static_cast<double>(cols) * sizeof(T));
      fmt::print("{}: square products {:.0f} GF/s, reading a matrix of this size {:.1f} GB/s\n", dtype,
                 rates.flops * 1e-9, rates.bytes * 1e-9);
      for (const Order order : {Order::col_major, Order::row_major}) {
        Kernels<T> kernels(options, rows, cols, order);
        for (const Index k : columns)
          for (const Measured& each : kernels.all(k)) report(each, rates, table, json);
        fmt::print(stderr, "  {} by {}\n", dtype, order == Order::col_major ? "columns" : "rows");
      }
    });
  fmt::print(
      "\nPanel kernels, A {}. error: against extended precision, relative to the norms; for orthonormalize "
      "max |QtQ - I|.\n\n",
      shape_text(rows, cols));
  table.print();
  return json;
}

}  // namespace lowrank::bench
