#include <atomic>
#include <limits>
#include <lowrank/core/device.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/gen/generate.hpp>
#include <lowrank/svd/rank.hpp>
#include <thread>
#include <vector>

#include "../check.hpp"

using lowrank::Index;
using lowrank::Matrix;

TEST_CASE("blas_int: 32 bits and no more") {
  CHECK(lowrank::blas_int(0) == 0);
  CHECK(lowrank::blas_int(2147483647) == 2147483647);
  const auto message = check::message_of<lowrank::Error>([] { lowrank::blas_int(2147483648); });
  CHECK(check::contains(message, "2147483648"));
  CHECK_THROWS_AS(lowrank::blas_int(std::numeric_limits<Index>::max()), lowrank::Error);
}

TEST_CASE("checked_product: 63 bits and no more") {
  CHECK(lowrank::checked_product(3, 4) == 12);
  CHECK(lowrank::checked_product(0, std::numeric_limits<Index>::max()) == 0);
  CHECK(lowrank::checked_product(std::numeric_limits<Index>::max(), 1) == std::numeric_limits<Index>::max());
  CHECK(lowrank::checked_product(Index{1} << 31, Index{1} << 31) == Index{1} << 62);
  CHECK_THROWS_AS(lowrank::checked_product(Index{1} << 32, Index{1} << 31), lowrank::Error);
  CHECK_THROWS_AS(lowrank::checked_product(std::numeric_limits<Index>::max(), 2), lowrank::Error);
}

TEST_CASE_TEMPLATE("allocation: more than there is, is an Error that says how much", T, float, double) {
  const auto message = check::message_of<lowrank::Error>([] { Matrix<T>(Index{1} << 24, Index{1} << 20); });
  CHECK(check::contains(message, "GiB"));
  CHECK_THROWS_AS((Matrix<T>(Index{1} << 40, Index{1} << 40)), lowrank::Error);
  CHECK_THROWS_AS((Matrix<T>(Index{1} << 30, Index{1} << 31)), lowrank::Error);  // rows·cols fits, the bytes do not
}

TEST_CASE("available memory is known") {
  CHECK(lowrank::available_memory() > Index{1} << 20);
  CHECK(lowrank::available_memory() < Index{1} << 50);
}

TEST_CASE("set_threads: counts, and every core for less than one") {
  const int before = lowrank::threads();
  lowrank::set_threads(1);
  CHECK(lowrank::threads() == 1);
  lowrank::set_threads(2);
  CHECK(lowrank::threads() == 2);
  lowrank::set_threads(0);
  const int all = lowrank::threads();
  CHECK(all >= 1);
  lowrank::set_threads(-3);
  CHECK(lowrank::threads() == all);
  lowrank::set_threads(before);
}

TEST_CASE("threads of a program compute at the same time, with one thread each or with all") {
  const Matrix<double> A = lowrank::generate<double>({.rows = 700, .cols = 600, .rank = 50, .seed = 1});
  const Matrix<double> B = lowrank::generate<double>({.rows = 700, .cols = 600, .rank = 300, .seed = 2});
  std::atomic<int> wrong{0};
  const auto work = [&](int count) {
    lowrank::set_threads(count);
    const int wanted = lowrank::threads();
    for (int i = 0; i < 8; ++i) {
      try {
        const auto low = lowrank::matrix_rank(A), high = lowrank::matrix_rank(B);
        wrong += low.rank != 50 || !low.certified || high.rank != 300 || !high.certified;
      } catch (const std::exception&) {
        ++wrong;
      }
      wrong += lowrank::threads() != wanted;
    }
  };
  std::vector<std::thread> threads;
  for (const int count : {0, 1, 0, 1}) threads.emplace_back(work, count);
  for (std::thread& each : threads) each.join();
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("a LAPACK call beyond 32 bits is refused, not truncated", T, float, double) {
  // A view that says it has 2^31 rows; the size is refused before an entry is touched.
  T entry = 1;
  const lowrank::MatrixView<T> tall(&entry, Index{1} << 31, 1, Index{1} << 31);
  CHECK_THROWS_AS(lowrank::householder_qr<T>(tall), lowrank::Error);
}

TEST_CASE("dtype names and orders") {
  CHECK(lowrank::dtype_name<float>() == "f32");
  CHECK(lowrank::dtype_name<double>() == "f64");
  CHECK(lowrank::flip(lowrank::Order::col_major) == lowrank::Order::row_major);
  CHECK(lowrank::host_device().name().size() > 0);
}
