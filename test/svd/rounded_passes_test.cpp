#include <lowrank/cpu/panel_bfloat16.hpp>
#include <lowrank/op/sparse.hpp>

#include "svd_check.hpp"

/// Double matrices whose basis is found by products with their entries rounded: to float, and to bfloat16 where the
/// processor is quick with it.

using check::Dense;
using check::Reference;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::Rounding;
using lowrank::SvdMethod;

namespace {

template <class T>
bool in_bfloat16(const lowrank::Svd<T>& svd) {
  return check::contains(svd.reason, " in bfloat16");
}

template <class T>
bool rounded(const lowrank::Svd<T>& svd) {
  return check::contains(svd.reason, " products in float");
}

template <class T>
bool rounds(Rounding to) {
  return lowrank::multiplies_rounded<T>(check::device(), to);
}

lowrank::SvdOptions none_rounded() {
  lowrank::SvdOptions options;
  options.rounded_passes = false;
  return options;
}

/// `work` with products in bfloat16, where there are any, and without.
template <class Work>
void with_and_without_bfloat16(const Work& work) {
  for (const bool on : {true, false}) {
    lowrank::bfloat16::enable(on);
    CAPTURE(on);
    work();
  }
  lowrank::bfloat16::enable(true);
}

/// max_i ‖A·vᵢ - σᵢ·uᵢ‖ and ‖Aᵀ·uᵢ - σᵢ·vᵢ‖.
template <class T>
double worst_residual(const Dense& A, const lowrank::Svd<T>& svd) {
  const Dense U = check::dense(svd.U), V = check::dense(svd.V);
  Eigen::VectorXd S(svd.rank());
  for (Index i = 0; i < svd.rank(); ++i) S(i) = static_cast<double>(svd.S[static_cast<std::size_t>(i)]);
  return std::max((A * V - U * S.asDiagonal()).colwise().norm().maxCoeff(),
                  (A.transpose() * U - V * S.asDiagonal()).colwise().norm().maxCoeff());
}

}  // namespace

TEST_CASE_TEMPLATE("svd rounded passes: within the excess of the best on every family, factors as good as without them",
                   T, float, double) {
  for (const check::Family& family : check::spectrum_families())
    for (const auto& [m, n] : {std::pair<Index, Index>{500, 300}, {260, 700}}) {
      CAPTURE(family.label);
      CAPTURE(m);
      const Matrix<T> A = check::family_matrix<T>(family, m, n);
      const Reference<T> reference(A);
      for (const SvdMethod method : {SvdMethod::krylov, SvdMethod::randomized})
        with_and_without_bfloat16([&] {
          const auto svd = lowrank::truncated_svd(A, {.rank = 10}, {.method = method});
          CHECK(rounded(svd) == rounds<T>(Rounding::to_float));
          check::check_svd<T>(reference, {.rank = 10}, svd);
          const double worst = worst_residual(reference.A, svd), rounding = 4 * reference.rounding();
          CHECK(svd.certificate.triplet_residual >= worst - rounding);
          CHECK(svd.certificate.triplet_residual <= 1.05 * worst + rounding);
        });
      const auto plain = lowrank::truncated_svd(A, {.rank = 10}, none_rounded());
      CHECK(!rounded(plain));
      check::check_svd<T>(reference, {.rank = 10}, plain);
    }
}

TEST_CASE_TEMPLATE("svd rounded passes: bfloat16 where it tells enough", T, float, double) {
  const bool there = rounds<T>(Rounding::to_bfloat16);
  const auto svd_of = [](const char* spectrum) {
    return lowrank::truncated_svd(check::family_matrix<T>({"", spectrum}, 500, 400), {.rank = 20},
                                  {.method = SvdMethod::krylov});
  };
  CHECK(in_bfloat16(svd_of("poly:0.5")) == there);
  CHECK(in_bfloat16(svd_of("exp:0.01")) == there);
  // The twentieth value is 1e-5 of the first: lost among what rounding does to the others, as the first image tells.
  CHECK(!in_bfloat16(svd_of("exp:0.25")));
  // A finer wish than its rounding allows.
  CHECK(!in_bfloat16(
      lowrank::truncated_svd(check::family_matrix<T>({"", "poly:0.5"}, 500, 400), {.rank = 20}, {.excess = 1e-6})));
}

TEST_CASE_TEMPLATE("svd rounded passes: what rounding to bfloat16 takes away is found", T, float, double) {
  // Beside 1000 an entry is rounded to multiples of 4 or 8: all of `fine` is lost, or most of it.
  for (const double size : {0.01, 1.0, 30.0}) {
    CAPTURE(size);
    const Dense structure = check::dense(check::family_matrix<double>({"", "exp:0.1"}, 500, 400)) * (size * 100);
    const Matrix<T> A = check::matrix_of<T>(structure.array() + 1000);
    const Reference<T> reference(A);
    for (const Index rank : {1, 6})
      with_and_without_bfloat16([&] {
        CAPTURE(rank);
        for (const SvdMethod method : {SvdMethod::krylov, SvdMethod::randomized})
          check::check_svd<T>(reference, {.rank = rank}, lowrank::truncated_svd(A, {.rank = rank}, {.method = method}));
      });
  }
}

TEST_CASE("svd rounded passes: residuals from a product in float are those of the triplets") {
  for (const char* spectrum : {"poly:0.5", "exp:0.01", "exp:0.04", "stairs:20,0.5"})
    for (const auto& [m, n] : {std::pair<Index, Index>{500, 400}, {400, 600}}) {
      CAPTURE(spectrum);
      const Matrix<double> A = check::family_matrix<double>({"", spectrum}, m, n);
      const Reference<double> reference(A);
      for (const Index probes : {10, 20}) {  // with 20 there are too few triplets for it
        lowrank::SvdOptions options;
        options.certificate.probes = probes;
        const auto svd = lowrank::truncated_svd(A, {.rank = 45}, options);
        check::check_svd<double>(reference, {.rank = 45}, svd);
        const double worst = worst_residual(reference.A, svd), rounding = 4 * reference.rounding();
        CHECK(svd.certificate.triplet_residual >= worst - rounding);
        CHECK(svd.certificate.triplet_residual <= 1.05 * worst + rounding);
      }
    }
}

TEST_CASE("svd rounded passes: what the first image does not tell is found out later, and done again in float") {
  // The image of a block of 32 columns shows 38 ones, of a rank of 40 two values are below what bfloat16 leaves.
  std::vector<double> sigma(38, 1.0);
  for (Index i = 0; i < 100; ++i) sigma.push_back(1e-3 * std::pow(0.98, static_cast<double>(i)));
  const Matrix<double> A = check::there(lowrank::generate<double>({.rows = 600, .cols = 400, .sigma = sigma}));
  const Reference<double> reference(A);
  const auto svd = lowrank::truncated_svd(A, {.rank = 40}, {.method = SvdMethod::krylov});
  CHECK(rounded(svd) == rounds<double>(Rounding::to_float));
  CHECK(!in_bfloat16(svd));
  check::check_svd<double>(reference, {.rank = 40}, svd);
}

TEST_CASE_TEMPLATE("svd rounded passes: entries whose rounding is all one way", T, float, double) {
  // 1 + 2^-9 + 2^-12 and its multiples lie just above the middle between two bfloat16.
  Dense entries(480, 410);
  for (Index j = 0; j < entries.cols(); ++j)
    for (Index i = 0; i < entries.rows(); ++i)
      entries(i, j) = (1 + 0x1p-9 + 0x1p-12) * std::ldexp(1.0, static_cast<int>((i / 48 + j / 41) % 3));
  const Dense noise = check::dense(check::family_matrix<double>({"", "flat"}, 480, 410));
  const Matrix<T> A = check::matrix_of<T>(entries + 0.5 * noise);
  const Reference<T> reference(A);
  for (const Index rank : {2, 3, 12})
    with_and_without_bfloat16([&] {
      CAPTURE(rank);
      for (const SvdMethod method : {SvdMethod::krylov, SvdMethod::randomized})
        check::check_svd<T>(reference, {.rank = rank}, lowrank::truncated_svd(A, {.rank = rank}, {.method = method}));
    });
}

TEST_CASE("svd rounded passes: what lies below float's rounding is found by going on in double") {
  // Values from 1 to 1e-12: float sees the first seven decades at best.
  const Matrix<double> A = check::family_matrix<double>({"", "exp:0.5"}, 400, 300);
  const auto svd = lowrank::truncated_svd(A, {.rank = 25});
  for (Index i = 0; i < 25; ++i)
    CHECK(svd.S[static_cast<std::size_t>(i)] ==
          doctest::Approx(std::pow(10.0, -0.5 * static_cast<double>(i))).epsilon(1e-3));
  // And a matrix of exact rank to double's rounding.
  const Matrix<double> low = check::family_matrix<double>({"", "step:10,0"}, 400, 300);
  const auto exact = lowrank::truncated_svd(low, {.rank = 10});
  for (const double s : exact.S) CHECK(std::abs(s - 1) < 1e-13);
  CHECK(exact.certificate.relative_error < 1e-13);
}

TEST_CASE("svd rounded passes: not for a wish out of their reach, nor for entries out of float's range") {
  const Matrix<double> A = check::family_matrix<double>({"", "exp:0.1"}, 400, 300);
  const bool there = rounds<double>(Rounding::to_float);
  CHECK(rounded(lowrank::truncated_svd(A, {.rtol = 1e-2})) == there);
  const auto tight = lowrank::truncated_svd(A, {.rtol = 1e-6});
  CHECK(!rounded(tight));
  CHECK(tight.certificate.relative_error <= 1e-6);
  for (const double by : {1e60, 1e-60, 1e200}) {
    Matrix<double> far = A.clone();
    lowrank::scale_columns<double>(far, std::vector<double>(300, by));
    const auto svd = lowrank::truncated_svd(far, {.rank = 10});
    CHECK(!rounded(svd));
    CHECK(svd.S[0] / by == doctest::Approx(1).epsilon(1e-9));
  }
}

TEST_CASE("svd rounded passes: sparse matrices too, tall, wide and square") {
  for (const auto& [m, n] : {std::pair<Index, Index>{900, 300}, {260, 700}, {400, 400}}) {
    CAPTURE(m);
    Dense entries = check::dense(check::family_matrix<double>({"", "exp:0.02"}, m, n));
    const double large = 1.2 / std::sqrt(static_cast<double>(entries.size())) * entries.norm();
    entries = (entries.array().abs() > large).select(entries, 0.0);
    const lowrank::SparseOperator<double> A(lowrank::SparseMatrix<double>(entries.sparseView()));
    const Reference<double> reference(check::matrix_of<double>(entries));
    for (const SvdMethod method : {SvdMethod::krylov, SvdMethod::randomized}) {
      const auto svd = lowrank::truncated_svd<double>(A, {.rank = 40}, {.method = method});
      CHECK(rounded(svd));
      check::check_svd<double>(reference, {.rank = 40}, svd);
      CHECK(svd.certificate.triplet_residual >= worst_residual(entries, svd) - 4 * reference.rounding());
    }
    CHECK(!rounded(lowrank::truncated_svd<double>(A, {.rank = 40}, none_rounded())));
  }
}

TEST_CASE_TEMPLATE("svd rounded passes: a tolerance that takes more triplets than the first panel has", T, float,
                   double) {
  const Matrix<T> A = check::family_matrix<T>({"", "exp:0.005"}, 600, 500);
  const Reference<T> reference(A);
  with_and_without_bfloat16([&] {
    for (const SvdMethod method : {SvdMethod::krylov, SvdMethod::randomized}) {
      const auto svd = lowrank::truncated_svd(A, {.rtol = 0.3}, {.method = method});
      CHECK(svd.rank() > 90);
      check::check_svd<T>(reference, {.rtol = 0.3}, svd);
    }
  });
}

TEST_CASE("svd rounded passes: no more products than allowed") {
  for (const char* spectrum : {"poly:0.5", "exp:0.5"}) {
    const Matrix<double> A = check::family_matrix<double>({"", spectrum}, 400, 300);
    for (const Index most : {1, 2, 3, 4, 5}) {
      lowrank::SvdOptions options;
      options.max_products = most;
      CHECK(lowrank::truncated_svd(A, {.rank = 10}, options).products <= most);
    }
  }
}

TEST_CASE("svd: a rank that ends within noise, the error at the edge of float's reach") {
  // Double goes on from float with no gains to compare with, on a plateau where they fall slowly.
  std::vector<double> sigma;
  for (int i = 0; i < 200; ++i) sigma.push_back(std::pow(0.6, i));
  for (const std::uint64_t seed : {7, 13}) {
    CAPTURE(seed);
    const auto A = check::there(
        lowrank::generate<double>({.rows = 4000, .cols = 220, .sigma = sigma, .noise = 1e-4, .seed = seed}));
    const Reference<double> reference(A);
    lowrank::SvdOptions options;
    options.method = SvdMethod::krylov;
    const auto svd = lowrank::truncated_svd(A, {.rank = 60}, options);
    check::check_svd<double>(reference, {.rank = 60}, svd);
  }
}

TEST_CASE("multiply_rounded refuses shapes that do not fit") {
  const Matrix<double> A = check::there(Matrix<double>(5, 4));
  const Matrix<float> X(3, 2, check::device());
  Matrix<float> C(5, 2, check::device());
  CHECK_THROWS_AS(lowrank::multiply_rounded<double>(Rounding::to_float, A, X, C), std::invalid_argument);
}
