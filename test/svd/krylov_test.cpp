#include <lowrank/op/compose.hpp>
#include <lowrank/svd/orthonormalize.hpp>

#include "svd_check.hpp"

/// Block Krylov with blocks narrower than the wish.

using check::Dense;
using check::Laid;
using check::Reference;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::SvdMethod;

namespace {

template <class T>
Matrix<T> with_noise(const std::vector<double>& sigma, Index rows, Index cols, double noise = 0) {
  return check::there(lowrank::generate<T>({.rows = rows, .cols = cols, .sigma = sigma, .noise = noise, .seed = 7}));
}

}  // namespace

TEST_CASE_TEMPLATE("svd krylov: a singular value of greater multiplicity than the block is wide", T, float, double) {
  // 70 ones and a falling tail: a block of 32 columns holds 32 of them.
  std::vector<double> sigma(70, 1.0);
  for (Index i = 0; i < 200; ++i) sigma.push_back(0.3 * std::pow(0.95, static_cast<double>(i)));
  const Matrix<T> A = with_noise<T>(sigma, 420, 330);
  const Reference<T> reference(A);
  for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::krylov})
    for (const Index rank : {50, 60}) {
      CAPTURE(rank);
      lowrank::SvdOptions options;
      options.method = method;
      const auto svd = lowrank::truncated_svd(A, {.rank = rank}, options);
      check::check_svd<T>(reference, {.rank = rank}, svd);
      CHECK(svd.certificate.improvable <= options.excess / 8);
      if (method == SvdMethod::krylov && svd.method != "krylov")
        CHECK(check::contains(svd.reason, "subspace iteration instead"));
    }
}

TEST_CASE_TEMPLATE("svd krylov: a plateau that the basis stands still on", T, float, double) {
  // Sixty ones, then a slow fall from 0.7: the Ritz values hardly grow from step to step, though the error is 3 % above
  // the best one.
  std::vector<double> sigma(60, 1.0);
  for (Index i = 0; i < 440; ++i) sigma.push_back(0.7 * (1 - 0.001 * static_cast<double>(i)));
  const Matrix<T> A = with_noise<T>(sigma, 600, 500);
  const Reference<T> reference(A);
  const auto svd = lowrank::truncated_svd(A, {.rank = 100}, {.method = SvdMethod::krylov});
  CHECK(svd.converged);
  CHECK(check::contains(svd.reason, "the probes found"));
  check::check_svd<T>(reference, {.rank = 100}, svd);
  // Where no more products are allowed the result says so.
  const auto stopped = lowrank::truncated_svd(A, {.rank = 100}, {.method = SvdMethod::krylov, .max_products = 6});
  CHECK((!stopped.converged || stopped.certificate.improvable <= 0.01 / 8));
}

TEST_CASE_TEMPLATE("svd krylov: many values that are almost the same, and noise", T, float, double) {
  // The Ritz values stand still while the last of the 100 are not found yet.
  const Matrix<T> A = with_noise<T>(std::vector<double>(100, 1.0), 500, 450, 0.02);
  const Reference<T> reference(A);
  check::check_svd<T>(reference, {.rank = 100}, lowrank::truncated_svd(A, {.rank = 100}));
}

TEST_CASE_TEMPLATE("svd krylov: fewer columns than subspace iteration for the same error", T, float, double) {
  const Matrix<T> A = with_noise<T>(lowrank::spectrum("exp:0.0132", 200), 700, 600, 1e-3);
  const Reference<T> reference(A);
  lowrank::SvdOptions options;
  options.rounded_passes = false;
  options.method = SvdMethod::krylov;
  const auto narrow = lowrank::truncated_svd(A, {.rank = 100}, options);
  check::check_svd<T>(reference, {.rank = 100}, narrow);
  options.method = SvdMethod::randomized;
  const auto wide = lowrank::truncated_svd(A, {.rank = 100}, options);
  CHECK(narrow.products * 48 < wide.products * 110);
}

TEST_CASE_TEMPLATE("svd krylov: a basis that comes to the end of the space is given up", T, float, double) {
  const Matrix<T> A = with_noise<T>(std::vector<double>(130, 1.0), 150, 130);
  const Reference<T> reference(A);
  lowrank::SvdOptions options;
  options.method = SvdMethod::krylov;
  const auto svd = lowrank::truncated_svd(A, {.rtol = 0.1}, options);
  CHECK(svd.method == "exact");
  CHECK(check::contains(svd.reason, "exact SVD"));
  check::check_svd<T>(reference, {.rtol = 0.1}, svd);
}

TEST_CASE_TEMPLATE("svd krylov: residuals from the image of the last block are those of the triplets", T, float,
                   double) {
  struct {
    const char* spectrum;
    double noise;
  } const families[] = {{"exp:0.0132", 1e-3}, {"poly:1", 0},        {"poly:0.5", 0}, {"exp:0.1", 0},
                        {"step:60,0", 0},     {"stairs:20,.25", 0}, {"flat", 0}};
  for (const auto& [spectrum, noise] : families)
    for (const auto& [rows, cols] : {std::pair<Index, Index>{420, 350}, {300, 520}})
      for (const Index products : {8, 9, 100}) {  // the last half-step on either side
        const Matrix<T> matrix = with_noise<T>(lowrank::spectrum(spectrum, 300), rows, cols, noise);
        const check::Counting<T> A(matrix);
        const auto svd =
            lowrank::truncated_svd<T>(A, {.rank = 70}, {.method = SvdMethod::krylov, .max_products = products});
        if (svd.method != "krylov") continue;
        CAPTURE(spectrum);
        CAPTURE(rows);
        CAPTURE(svd.products);
        const Dense M = check::dense(matrix), U = check::dense(svd.U), V = check::dense(svd.V);
        const auto S = Eigen::Map<const Eigen::VectorX<T>>(svd.S.data(), 70).template cast<double>().asDiagonal();
        const double worst = std::max((M * V - U * S).colwise().norm().maxCoeff(),
                                      (M.transpose() * U - V * S).colwise().norm().maxCoeff());
        const double rounding = check::eps<T> * static_cast<double>(svd.S[0]);
        CHECK(svd.certificate.triplet_residual >= worst * (1 - 1e-4));
        CHECK(svd.certificate.triplet_residual <= worst + 200 * rounding);
        // Of the certificate's products the first has the columns of a block and the probes, not 70 and the probes.
        CHECK(A.columns[A.columns.size() - 3] == A.columns.front() + 10);
        CHECK(A.columns.front() < 70);
      }
}

TEST_CASE_TEMPLATE("certificate: what other triplets would gain", T, float, double) {
  const std::vector<double> sigma{8, 4, 2, 1, 0.1};
  const Matrix<T> A = with_noise<T>(sigma, 90, 70);
  const Reference<T> reference(A);
  const auto all = lowrank::thin_svd<T>(A);
  const lowrank::DenseOperator<T> op(A);
  const auto improvable = [&](const std::vector<Index>& kept) {
    Matrix<T> U(90, static_cast<Index>(kept.size()), A.device()), V(70, U.cols(), A.device());
    std::vector<T> S;
    for (Index j = 0; j < U.cols(); ++j) {
      const Index i = kept[static_cast<std::size_t>(j)];
      lowrank::copy<T>(all.U.view().col(i), U.view().col(j));
      lowrank::copy<T>(all.V.view().col(i), V.view().col(j));
      S.push_back(all.S[static_cast<std::size_t>(i)]);
    }
    return lowrank::certify<T>(op, U, S, V, reference.norm, std::nullopt, {}).improvable;
  };
  CHECK(improvable({0, 1, 2}) == 0);
  CHECK(improvable({0, 1, 2, 3, 4}) == 0);
  // 4 instead of 2: (16 - 4) / (16 + 1 + 0.01).
  CHECK(improvable({0, 2}) == doctest::Approx((16 - 4) / (16 + 1 + 0.01)).epsilon(1e-3));
  // 8 and 4 instead of 1 and 0.1.
  CHECK(improvable({3, 4}) == doctest::Approx((64 + 16 - 1 - 0.01) / (64 + 16 + 4)).epsilon(1e-3));
}

// The directions that take the place of columns within the span of Q were the same for every block.
TEST_CASE_TEMPLATE("orthonormalize_against: one block after the other that lies in the span of Q", T, float, double) {
  constexpr Index m = 120, b = 10;
  Laid<T> Q(check::gaussian(m, 10 * b, 3), lowrank::Order::col_major);
  lowrank::orthonormalize<T>(Q.view().left_cols(b));
  for (Index have = b; have < 10 * b; have += b) {
    const auto basis = Q.view().left_cols(have), block = Q.view().middle_cols(have, b);
    lowrank::copy<T>(Q.view().left_cols(b), block);
    lowrank::orthonormalize_against<T>(basis, block);
    CHECK(lowrank::orthogonality_defect<T>(Q.view().left_cols(have + b)) < 100 * check::eps<T>);
  }
}

TEST_CASE_TEMPLATE("svd krylov: tall matrices by rows in one sweep for both products", T, float, double) {
  // Slow decay: blocks that are well conditioned. Fast: the sweep's second half is no good, and is made anew.
  for (const double ratio : {0.97, 0.8}) {
    CAPTURE(ratio);
    std::vector<double> sigma;
    for (Index i = 0; i < 200; ++i) sigma.push_back(std::pow(ratio, static_cast<double>(i)));
    const Matrix<T> columns = with_noise<T>(sigma, 4000, 220);
    const Matrix<T> A = check::there(Matrix<T>::copy_of(columns, lowrank::Order::row_major));
    REQUIRE(A.order() == lowrank::Order::row_major);
    const Reference<T> reference(A);
    lowrank::SvdOptions options;
    options.method = SvdMethod::krylov;
    for (const Index rank : {20, 40}) {
      CAPTURE(rank);
      const auto svd = lowrank::truncated_svd(A, {.rank = rank}, options);
      check::check_svd<T>(reference, {.rank = rank}, svd);
      CHECK(svd.converged);
    }
    // Reading A is what passes count: the norm, products and what the certificate needs. By columns each product is
    // one.
    const auto by_rows = lowrank::truncated_svd(A, {.rank = 40}, options);
    const auto by_columns = lowrank::truncated_svd(columns, {.rank = 40}, options);
    if (lowrank::fuses_normal<T>(A, 32, std::is_same_v<T, double>) && ratio == 0.97)
      CHECK(by_rows.passes < by_columns.passes);
    CHECK(by_rows.certificate.relative_error ==
          doctest::Approx(by_columns.certificate.relative_error).epsilon(options.excess));
  }
}

TEST_CASE("svd krylov: a tall matrix by rows whose rank is below the block, in one sweep") {
  const Matrix<float> columns = with_noise<float>({5, 4, 3}, 4000, 220);
  const Matrix<float> A = check::there(Matrix<float>::copy_of(columns, lowrank::Order::row_major));
  lowrank::SvdOptions options;
  options.method = SvdMethod::krylov;
  const auto svd = lowrank::truncated_svd(A, {.rank = 3}, options);
  CHECK(svd.converged);
  CHECK(svd.certificate.relative_error < 1e-5);
  for (Index i = 0; i < 3; ++i) CHECK(svd.S[static_cast<std::size_t>(i)] == doctest::Approx(5.0 - i).epsilon(1e-5));
}

TEST_CASE_TEMPLATE("svd krylov: a tall zero matrix by rows", T, float, double) {
  Matrix<T> zero(4000, 200, lowrank::Order::row_major);
  lowrank::fill<T>(zero, 0);
  const Matrix<T> A = check::there(std::move(zero));
  lowrank::SvdOptions options;
  options.method = SvdMethod::krylov;
  const auto svd = lowrank::truncated_svd(A, {.rank = 5}, options);
  for (const T s : svd.S) CHECK(s == 0);
  CHECK(svd.certificate.relative_error == 0);
}
