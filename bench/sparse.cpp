#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/core/random.hpp>
#include <lowrank/op/sparse.hpp>
#include <lowrank/svd/svd.hpp>

#include "benchmarks.hpp"
#include "counted.hpp"

namespace lowrank::bench {
namespace {

/// Normal entries in rows drawn evenly and in columns drawn as n·u², so that the first columns are the fullest, as
/// with words or products: a slowly falling spectrum. Entries drawn twice are added up.
template <Real T>
SparseMatrix<T> random_sparse(Index rows, Index cols, Index entries, std::uint64_t seed) {
  const Philox places(seed, 1), values(seed, 2);
  std::vector<Eigen::Triplet<T, Index>> triplets(static_cast<std::size_t>(entries));
  for (Index e = 0; e < entries; ++e) {
    const auto number = static_cast<std::uint64_t>(e);
    const double u = static_cast<double>(places.word(number, 0) >> 11) * 0x1p-53;
    const double v = static_cast<double>(places.word(number, 1) >> 11) * 0x1p-53;
    const auto row = std::min(rows - 1, static_cast<Index>(u * static_cast<double>(rows)));
    const auto col = std::min(cols - 1, static_cast<Index>(v * v * static_cast<double>(cols)));
    triplets[static_cast<std::size_t>(e)] = {row, col, static_cast<T>(values.normal_pair(number, 0).first)};
  }
  SparseMatrix<T> A(rows, cols);
  A.setFromTriplets(triplets.begin(), triplets.end());
  return A;
}

template <Real T>
double bytes_of(const SparseMatrix<T>& A) {
  return static_cast<double>(A.nonZeros()) * (sizeof(T) + sizeof(Index)) +
         static_cast<double>(A.rows()) * sizeof(Index);
}

/// ‖A‖² - 2·⟨A, U·S·Vᵀ⟩ + ‖U·S·Vᵀ‖² in double over the entries, for factors as they are; relative. Right to about 1e-8.
template <Real T>
double measured_error(const SparseMatrix<T>& A, const Svd<T>& svd) {
  const Index k = svd.rank();
  // By rows, so that an entry's two rows lie together.
  const Matrix<T> U = Matrix<T>::copy_of(svd.U.view(), Order::row_major);
  const Matrix<T> V = Matrix<T>::copy_of(svd.V.view(), Order::row_major);
  double norm2 = 0, inner = 0, approximation2 = 0;
  for (Index i = 0; i < A.rows(); ++i)
    for (typename SparseMatrix<T>::InnerIterator entry(A, i); entry; ++entry) {
      double value = 0;
      for (Index l = 0; l < k; ++l)
        value += static_cast<double>(U(i, l)) * static_cast<double>(svd.S[static_cast<std::size_t>(l)]) *
                 static_cast<double>(V(entry.col(), l));
      const double a = entry.value();
      norm2 += a * a, inner += a * value;
    }
  const Matrix<double> gu = gram<T>(svd.U.view()), gv = gram<T>(svd.V.view());
  for (Index i = 0; i < k; ++i)
    for (Index j = 0; j < k; ++j)
      approximation2 += gu(i, j) * gv(i, j) * static_cast<double>(svd.S[static_cast<std::size_t>(i)]) *
                        static_cast<double>(svd.S[static_cast<std::size_t>(j)]);
  return std::sqrt(std::max(0.0, norm2 - 2 * inner + approximation2) / norm2);
}

/// A row of Y = A·X in some rows against sums in extended precision, relative to ‖a_i‖·max|X|·√nnz, in eps.
template <Real T>
double product_error(const SparseMatrix<T>& A, const Matrix<T>& X, const Matrix<T>& Y) {
  double worst = 0;
  for (Index i = A.rows() - 1; i >= 0; i -= std::max<Index>(1, A.rows() / 100))
    for (Index j = 0; j < X.cols(); ++j) {
      long double sum = 0, size = 0;
      for (typename SparseMatrix<T>::InnerIterator entry(A, i); entry; ++entry) {
        const long double term = static_cast<long double>(entry.value()) * static_cast<long double>(X(entry.col(), j));
        sum += term, size += std::abs(term);
      }
      if (size > 0)
        worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(Y(i, j)) - sum) / size));
    }
  return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <Real T>
void products(const SparseMatrix<T>& A, const Options& options, const Rates& rates, Table& table, Json& json) {
  const SparseOperator<T> op(A);
  const SparseMatrix<T> transposed = A.transpose();
  for (const Index k : or_default<Index>(options.columns, {1, 4, 10, 20, 32, 64, 128}))
    for (const bool adjoint : {false, true}) {
      const SparseMatrix<T>& M = adjoint ? transposed : A;
      Matrix<T> X(M.cols(), k), Y(M.rows(), k);
      fill_normal<T>(X, 3, 0);
      const auto work = [&] { adjoint ? op.multiply_adjoint(X.view(), Y) : op.multiply(X.view(), Y); };
      work();  // the transposed copy is made at the first use
      const Samples samples = samples_of(work, {.repeats = options.repeats, .budget = 5});
      const double flops = 2.0 * static_cast<double>(A.nonZeros()) * static_cast<double>(k);
      const double floor = rates.floor(flops, bytes_of(A) + static_cast<double>(X.size() + Y.size()) * sizeof(T));
      const double error = product_error(M, X, Y);
      const char* kernel = adjoint ? "At*X" : "A*X";
      table.add({kernel, std::string(dtype_name<T>()), std::to_string(k), samples_text(samples),
                 fmt::format("{:.2f}", flops / samples.median() * 1e-9), fmt::format("{:.1f} eps", error),
                 seconds_text(floor), percent_text(floor / samples.median())});
      json.push_back({{"kernel", kernel},
                      {"dtype", dtype_name<T>()},
                      {"columns", k},
                      {"entries", A.nonZeros()},
                      {"seconds", as_json(samples)},
                      {"error_eps", error},
                      {"floor", floor}});
    }
}

template <Real T>
void decompositions(const SparseMatrix<T>& A, const Options& options, const Rates& rates, Table& table, Json& json) {
  const SparseOperator<T> op(A);
  for (const Index rank : or_default<Index>(options.ranks, {20, 50})) {
    // The optimum is not known: the error of a run that iterates until it stands still is beside the others.
    const Svd<T> reference = truncated_svd<T>(
        op, {.rank = rank}, {.method = SvdMethod::krylov, .excess = 1e-6, .max_products = 60, .seed = options.seed});
    const double best = measured_error(A, reference);
    CountedOperator<T> counted(op, bytes_of(A), rates);
    Svd<T> svd;
    const Samples samples = samples_of(
        [&] {
          counted.reset();
          svd = truncated_svd<T>(counted, {.rank = rank}, {.seed = options.seed});
        },
        {.repeats = options.repeats, .budget = 20});
    const double error = measured_error(A, svd);
    table.add({std::to_string(rank), std::string(dtype_name<T>()), svd.method, fmt::format("{:.6f}", error),
               fmt::format("{:.6f}", best), fmt::format("{:.3f} %", 100 * (error / best - 1)), samples_text(samples),
               seconds_text(counted.floor()), fmt::format("{:.1f}", samples.median() / counted.floor()),
               std::to_string(svd.products), std::to_string(svd.passes)});
    json.push_back({{"rank", rank},
                    {"dtype", dtype_name<T>()},
                    {"method", svd.method},
                    {"error", error},
                    {"reported_error", svd.certificate.relative_error},
                    {"reference_error", best},
                    {"seconds", as_json(samples)},
                    {"floor", counted.floor()},
                    {"products", svd.products},
                    {"passes", svd.passes},
                    {"converged", svd.converged}});
  }
}

}  // namespace

Json sparse_benchmark(const Options& options) {
  const Index rows = options.rows > 0 ? options.rows : 200'000, cols = options.cols > 0 ? options.cols : 50'000;
  Table kernels({"kernel", "dtype", "columns", "time (least - greatest)", "GF/s", "error", "floor", "of floor"});
  Table svds({"rank", "dtype", "method", "error", "least known", "above it", "time (least - greatest)", "floor",
              "time/floor", "products", "passes"});
  Json json{{"products", Json::array()}, {"svd", Json::array()}};
  for (const std::string& dtype : or_default<std::string>(options.dtypes, {"f32", "f64"}))
    for_dtype(dtype, [&]<class T>() {
      const SparseMatrix<T> A = random_sparse<T>(rows, cols, options.entries, options.seed);
      const Rates rates = rates_for<T>(bytes_of(A));
      products<T>(A, options, rates, kernels, json["products"]);
      fmt::print(stderr, "  products {}\n", dtype);
      decompositions<T>(A, options, rates, svds, json["svd"]);
      fmt::print(stderr, "  svd {}\n", dtype);
    });
  fmt::print("\nSparse {}, {} entries drawn. error: of a sum, relative to the sum of magnitudes.\n\n",
             shape_text(rows, cols), options.entries);
  kernels.print();
  fmt::print("\nIts truncated SVD. error: relative, Frobenius; least known: by iterating on.\n\n");
  svds.print();
  return json;
}

}  // namespace lowrank::bench
