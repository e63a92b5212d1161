#include <lowrank/core/error.hpp>
#include <lowrank/factor/factor.hpp>
#include <lowrank/io/load.hpp>
#include <lowrank/io/npy.hpp>
#include <lowrank/op/mapped_file.hpp>
#include <lowrank/op/sparse.hpp>
#include <lowrank/svd/rank.hpp>

#include "guarded_device.hpp"
#include "io/files.hpp"
#include "svd_check.hpp"

// A matrix on the host, the work on another device: options.device.

using check::Reference;
using lowrank::Device;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::SvdMethod;
using lowrank::Truncation;

namespace {

template <class T>
Matrix<T> on_host(const char* spectrum, Index rows, Index cols) {
  return lowrank::generate<T>(
      {.rows = rows, .cols = cols, .sigma = lowrank::spectrum(spectrum, std::min(rows, cols)), .seed = 5});
}

/// The device under test, or the guarded one where that is the host.
Device& elsewhere() { return check::on_host() ? guarded_device() : check::device(); }

}  // namespace

TEST_CASE_TEMPLATE("options.device: the same decomposition, back on the host", T, float, double) {
  const auto A = on_host<T>("exp:0.05", 300, 220);
  const Reference<T> ref(A);
  for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::exact, SvdMethod::krylov})
    for (const Truncation wish : {Truncation{.rank = 12}, {.rtol = 0.05}}) {
      lowrank::SvdOptions options;
      options.method = method;
      options.device = &elsewhere();
      const auto svd = lowrank::truncated_svd(A, wish, options);
      CHECK(&svd.U.device() == &lowrank::host_device());
      CHECK(&svd.V.device() == &lowrank::host_device());
      CHECK(check::contains(svd.reason, "worked on by " + elsewhere().name()));
      check::check_svd<T>(ref, wish, svd);
      options.device = &lowrank::host_device();
      const auto here = lowrank::truncated_svd(A, wish, options);
      CHECK_FALSE(check::contains(here.reason, "worked on by"));
      REQUIRE(here.rank() == svd.rank());
      for (std::size_t i = 0; i < svd.S.size(); ++i)
        CHECK(std::abs(static_cast<double>(svd.S[i]) - static_cast<double>(here.S[i])) <= 1e-2 * ref.norm);
    }
}

TEST_CASE_TEMPLATE("options.device: a matrix larger than the device's memory is worked on in blocks", T, float,
                   double) {
  const auto A = on_host<T>("exp:0.05", 400, 300);
  const Reference<T> ref(A);
  const Index bytes = 400 * 300 * static_cast<Index>(sizeof(T));
  const LimitedMemory limit(bytes);
  lowrank::SvdOptions options;
  options.device = &guarded_device();
  const auto svd = lowrank::truncated_svd(A, {.rank = 12}, options);
  CHECK(svd.method != "exact");
  CHECK(check::contains(svd.reason, "in blocks"));
  check::check_svd<T>(ref, {.rank = 12}, svd);
  options.method = SvdMethod::exact;
  const auto message = check::message_of<lowrank::Error>([&] { lowrank::truncated_svd(A, {.rank = 12}, options); });
  for (const char* part : {"exact SVD", "guarded", "cpu"}) CHECK(check::contains(message, part));
}

TEST_CASE_TEMPLATE("automatic does not take the exact SVD where its memory is not there", T, float, double) {
  const auto A = on_host<T>("exp:0.02", 400, 300).to(guarded_device());
  CHECK(lowrank::truncated_svd(A, {.rank = 130}).method == "exact");
  const LimitedMemory limit(400 * 300 * static_cast<Index>(sizeof(T)));
  const auto svd = lowrank::truncated_svd(A, {.rank = 130});
  CHECK(svd.method == "randomized");
  CHECK(svd.converged);
}

TEST_CASE_TEMPLATE("options.device: a file is copied to the device, or moved there in blocks", T, float, double) {
  io_test::TemporaryFolder folder;
  const auto A = on_host<T>("exp:0.1", 250, 210);
  lowrank::save_npy<T>(folder / "A.npy", A);
  const auto loaded = lowrank::load_matrix(folder / "A.npy", {.in_memory_limit = 1});
  const auto& layout = std::get<lowrank::FileLayout<T>>(loaded.content);
  const lowrank::MappedFileOperator<T> file(layout, 20000);
  lowrank::SvdOptions options;
  options.device = &elsewhere();
  const Reference<T> ref(A);
  check::check_svd<T>(ref, {.rank = 5}, lowrank::truncated_svd<T>(file, {.rank = 5}, options));
  options.device = &guarded_device();
  const LimitedMemory limit(250 * 210 * static_cast<Index>(sizeof(T)));
  const auto svd = lowrank::truncated_svd<T>(file, {.rank = 5}, options);
  CHECK(check::contains(svd.reason, "in blocks"));
  check::check_svd<T>(ref, {.rank = 5}, svd);
}

TEST_CASE_TEMPLATE("options.device: rank", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{620, 540}, {90, 120}}) {
    const auto A = lowrank::generate<T>({.rows = m, .cols = n, .rank = 17, .seed = 2});
    const auto found = lowrank::matrix_rank(A, {.device = &elsewhere()});
    CHECK(found.rank == 17);
    CHECK(found.certified);
    CHECK(check::contains(found.reason, "worked on by " + elsewhere().name()));
    CHECK(check::near(found.sigma_max, lowrank::matrix_rank(A).sigma_max, 1e-4));
  }
}

TEST_CASE_TEMPLATE("options.device: verification, with the factors on the host", T, float, double) {
  const auto W = lowrank::generate<T>({.rows = 90, .cols = 70, .rank = 4, .seed = 2});
  const lowrank::DenseOperator<T> op(W);
  auto factors = lowrank::make_factors(lowrank::truncated_svd(W, {.rank = 4}));
  lowrank::VerifyOptions<T> options;
  options.device = &elsewhere();
  const auto right = lowrank::verify_factors<T>(op, factors.B, factors.A, options);
  CHECK(right.equal);
  CHECK(right.note == "worked on by " + elsewhere().name());
  CHECK(&right.y.device() == &lowrank::host_device());
  const auto here = lowrank::verify_factors<T>(op, factors.B, factors.A);
  CHECK(check::difference_ratio<T>(check::dense(right.y), check::dense(here.y)) < 10);
  factors.B(3, 1) += T(0.1);
  CHECK_FALSE(lowrank::verify_factors<T>(op, factors.B, factors.A, options).equal);
}

TEST_CASE("options.device: a sparse matrix is refused, not silently worked on elsewhere") {
  lowrank::SparseMatrix<double> S(50, 40);
  for (Index i = 0; i < 6; ++i) S.insert(7 * i, 5 * i) = static_cast<double>(i + 1);
  S.makeCompressed();
  const lowrank::SparseOperator<double> op(S);
  lowrank::SvdOptions options;
  options.device = &elsewhere();
  CHECK_THROWS_AS(lowrank::truncated_svd<double>(op, {.rank = 2}, options), lowrank::Error);
  CHECK_THROWS_AS(lowrank::matrix_rank<double>(op, {.device = &elsewhere()}), lowrank::Error);
}

TEST_CASE("options.tf32: the factors are found in TF32 where that tells enough, the certificate is of float") {
  const auto svd_of = [](const Matrix<float>& A, const Truncation& wish, SvdMethod method) {
    lowrank::SvdOptions options;
    options.method = method;
    options.tf32 = true;
    options.device = &elsewhere();
    return lowrank::truncated_svd(A, wish, options);
  };
  for (const char* spectrum : {"poly:0.5", "exp:0.01", "stairs:20,0.5", "flat"})
    for (const auto& [m, n] : {std::pair<Index, Index>{500, 400}, {300, 700}}) {
      CAPTURE(spectrum);
      const auto A = on_host<float>(spectrum, m, n);
      const Reference<float> ref(A);
      for (const SvdMethod method : {SvdMethod::krylov, SvdMethod::randomized}) {
        const ProductCounts before = guarded_products();
        const auto svd = svd_of(A, {.rank = 15}, method);
        CHECK(check::contains(svd.reason, " products in TF32"));
        CHECK_FALSE(check::contains(svd.reason, "no products in TF32"));
        check::check_svd<float>(ref, {.rank = 15}, svd);
        if (&elsewhere() != &guarded_device()) continue;
        const long all = guarded_products().all - before.all, short_ones = guarded_products().in_tf32 - before.in_tf32;
        CHECK(short_ones > 0);
        CHECK(short_ones < svd.products);
        CHECK(svd.products < all);
      }
    }
  const auto falling =
      on_host<float>("exp:0.25", 500, 400);  // The fifteenth value is 3e-4 of the first, the rest less.
  const Reference<float> ref(falling);
  for (const Truncation wish : {Truncation{.rank = 20}, {.rtol = 1e-4}}) {
    const auto svd = svd_of(falling, wish, SvdMethod::automatic);
    CHECK(check::contains(svd.reason, "no products in TF32"));
    check::check_svd<float>(ref, wish, svd);
  }
}

TEST_CASE("options.tf32: refused where there is no TF32") {
  lowrank::SvdOptions options;
  options.tf32 = true;
  CHECK_THROWS_AS(lowrank::truncated_svd(on_host<float>("flat", 300, 300), {.rank = 3}, options), lowrank::Error);
  options.device = &elsewhere();
  CHECK_THROWS_AS(lowrank::truncated_svd(on_host<double>("flat", 300, 300), {.rank = 3}, options),
                  std::invalid_argument);
}
