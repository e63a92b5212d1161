#include "svd_check.hpp"

/// Double matrices whose basis is found by products in float.

using check::Dense;
using check::Reference;
using lowrank::Index;
using lowrank::Matrix;

namespace {

bool in_float(const lowrank::Svd<double>& svd) { return svd.reason.find("products in float") != std::string::npos; }

lowrank::SvdOptions all_in_double() {
  lowrank::SvdOptions options;
  options.float_passes = false;
  return options;
}

}  // namespace

TEST_CASE("svd float passes: within the excess of the best on every family, factors as good as double's") {
  const bool there = lowrank::multiplies_in_float(check::device());
  for (const check::Family& family : check::spectrum_families())
    for (const auto& [m, n] : {std::pair<Index, Index>{500, 300}, {260, 700}}) {
      CAPTURE(family.label);
      CAPTURE(m);
      const Matrix<double> A = check::family_matrix<double>(family, m, n);
      const Reference<double> reference(A);
      const auto svd = lowrank::truncated_svd(A, {.rank = 10});
      CHECK(in_float(svd) == there);
      check::check_svd<double>(reference, {.rank = 10}, svd);
      const auto plain = lowrank::truncated_svd(A, {.rank = 10}, all_in_double());
      CHECK(!in_float(plain));
      check::check_svd<double>(reference, {.rank = 10}, plain);
    }
}

TEST_CASE("svd float passes: what lies below float's rounding is found by going on in double") {
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

TEST_CASE("svd float passes: not for a wish out of float's reach, nor for entries out of its range") {
  const Matrix<double> A = check::family_matrix<double>({"", "exp:0.1"}, 400, 300);
  CHECK(in_float(lowrank::truncated_svd(A, {.rtol = 1e-2})) == lowrank::multiplies_in_float(check::device()));
  const auto tight = lowrank::truncated_svd(A, {.rtol = 1e-6});
  CHECK(!in_float(tight));
  CHECK(tight.certificate.relative_error <= 1e-6);
  for (const double by : {1e60, 1e-60, 1e200}) {
    Matrix<double> far = A.clone();
    lowrank::scale_columns<double>(far, std::vector<double>(300, by));
    const auto svd = lowrank::truncated_svd(far, {.rank = 10});
    CHECK(!in_float(svd));
    CHECK(svd.S[0] / by == doctest::Approx(1).epsilon(1e-9));
  }
}

TEST_CASE("svd float passes: no more products than allowed") {
  const Matrix<double> A = check::family_matrix<double>({"", "poly:0.5"}, 400, 300);
  for (const Index most : {1, 2, 3, 4}) {
    lowrank::SvdOptions options;
    options.max_products = most;
    CHECK(lowrank::truncated_svd(A, {.rank = 10}, options).products <= most);
  }
}

TEST_CASE("multiply_in_float refuses shapes that do not fit") {
  const Matrix<double> A = check::there(Matrix<double>(5, 4));
  const Matrix<float> X(3, 2, check::device());
  Matrix<float> C(5, 2, check::device());
  CHECK_THROWS_AS(lowrank::multiply_in_float(A, X, C), std::invalid_argument);
}
