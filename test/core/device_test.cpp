#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <lowrank/core/error.hpp>
#include <lowrank/core/random.hpp>
#include <lowrank/core/training.hpp>

#include "../check.hpp"
#include "guarded_device.hpp"

using check::Dense;
using check::Laid;
using check::orders;
using lowrank::Device;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::Order;
using lowrank::Rounding;

TEST_CASE_TEMPLATE("device: matrices come back from a device as they went, whatever their orders and gaps", T, float,
                   double) {
  for (Device* other : {&lowrank::host_device(), &guarded_device()})
    for (const auto& [m, n] : {std::pair<Index, Index>{1, 1}, {7, 3}, {3, 130}, {257, 31}, {0, 4}, {4, 0}})
      for (const Order from : orders)
        for (const Order to : orders) {
          const Dense X = check::rounded<T>(check::gaussian(m, n, 1));
          Laid<T> laid(X, from, 3), back(m, n, from, 2);
          Matrix<T> there(m, n, to, *other);
          lowrank::copy<T>(laid, there);
          CHECK(check::dense(there) == X);
          lowrank::copy<T>(there, back);
          CHECK(check::dense<T>(back) == X);
          CHECK(back.gaps_untouched());
        }
}

TEST_CASE_TEMPLATE("device: a copy in the other order goes by blocks", T, float, double) {
  const Dense X = check::rounded<T>(check::gaussian(9, 1000003 / 9, 1));
  Laid<T> by_rows(X, Order::row_major, 1);
  Matrix<T> by_columns(X.rows(), 10 * X.cols(), Order::col_major, guarded_device());
  for (Index part = 0; part < 10; ++part)
    lowrank::copy<T>(by_rows, by_columns.view().middle_cols(part * X.cols(), X.cols()));
  Matrix<T> back(X.rows(), by_columns.cols(), Order::row_major);
  lowrank::copy<T>(by_columns, back);
  for (Index part = 0; part < 10; ++part)
    CHECK((check::dense<T>(back.view().middle_cols(part * X.cols(), X.cols())) == X));
}

TEST_CASE_TEMPLATE("device: to, from_double and to_double", T, float, double) {
  const Dense X = check::gaussian(6, 4, 1);
  for (const Order order : orders) {
    Laid<T> laid(X, order);
    const Matrix<T> same = Matrix<T>::copy_of(laid, order), moved = same.to(guarded_device());
    CHECK(moved.order() == order);
    CHECK(&moved.device() == &guarded_device());
    CHECK(check::dense(moved) == check::rounded<T>(X));
    CHECK(check::dense(moved.to(lowrank::host_device())) == check::rounded<T>(X));
    CHECK(check::dense(lowrank::to_double<T>(laid)) == check::rounded<T>(X));
  }
  const Matrix<T> from = lowrank::from_double<T>(X, check::device());
  CHECK(&from.device() == &check::device());
  CHECK(check::dense(from) == check::rounded<T>(X));
  const Matrix<double> away = Matrix<double>(3, 3, guarded_device());
  CHECK_THROWS_AS(lowrank::from_double<T>(away, check::device()), std::invalid_argument);
}

TEST_CASE_TEMPLATE("device: add, for every layout", T, float, double) {
  for (const Index m : {0, 1, 3, 8, 33, 300})
    for (const Index n : {0, 1, 5, 130})
      for (const Order x_order : orders)
        for (const Order y_order : orders) {
          const Dense X = check::rounded<T>(check::gaussian(m, n, 1)), Y = check::rounded<T>(check::gaussian(m, n, 2));
          Laid<T> laid_X(X, x_order, 2), laid_Y(Y, y_order, 3);
          lowrank::add<T>(T(-0.5), laid_X, laid_Y);
          CHECK(check::difference_ratio<T>(check::dense<T>(laid_Y), Y - 0.5 * X) < 2);
          CHECK(laid_Y.gaps_untouched());
          CHECK(check::dense<T>(laid_X) == X);
        }
  Laid<T> X(3, 4), Y(4, 3);
  CHECK(check::contains(check::refusal([&] { lowrank::add<T>(T(1), X, Y); }), "3x4"));
}

TEST_CASE_TEMPLATE("device: entries are found with their values", T, float, double) {
  for (const Order order : orders) {
    Laid<T> X(check::gaussian(40, 5, 1), order, 2);
    X(7, 3) = T(-50);
    const auto largest = lowrank::largest_in_columns<T>(X);
    CHECK(largest[3].row == 7);
    CHECK(largest[3].value == -50);
    CHECK(largest[0].value == static_cast<double>(X(largest[0].row, 0)));
    X(9, 2) = -std::numeric_limits<T>::infinity();
    const auto bad = lowrank::first_nonfinite<T>(X);
    REQUIRE(bad.has_value());
    CHECK(std::isinf(bad->value));
    CHECK(bad->value < 0);
  }
}

TEST_CASE("device: buffers, runs of bytes, memory and waiting") {
  Device& device = check::device();
  const std::array<int, 6> numbers{1, 2, 3, 4, 5, 6};
  lowrank::Buffer<int> buffer(std::span<const int>(numbers), device);
  std::array<int, 6> back{};
  buffer.download(back);
  CHECK(back == numbers);
  lowrank::Buffer<int> none(0, device);
  none.upload({});
  none.download({});
  // Two runs of two numbers, three apart on the host and two on the device.
  constexpr Index size = sizeof(int);
  device.upload(numbers.data() + 1, buffer.data(), {2 * size, 2, 3 * size, 2 * size});
  buffer.download(back);
  CHECK(back == std::array{2, 3, 5, 6, 5, 6});
  device.download(buffer.data(), back.data(), {2 * size, 2, 4 * size, 2 * size});
  CHECK(back == std::array{2, 3, 5, 6, 5, 6});
  device.download(buffer.data(), back.data(), {0, 5, 1, 1});
  device.synchronize();
  CHECK(device.allocate(0) == nullptr);
  const auto memory = device.allocate(100);
  CHECK(reinterpret_cast<std::uintptr_t>(memory.get()) % 64 == 0);
  CHECK(device.available_memory() > (Index{1} << 20));
  const std::string wanted = check::message_of<lowrank::Error>([&] { device.allocate(Index{1} << 50); });
  CHECK(!wanted.empty());
}

TEST_CASE("device: recorded work is done again on what the memory then holds") {
  Device& device = check::device();
  const auto& training = device.training<float>();
  lowrank::Buffer<lowrank::TrainingClock> clock(1, device);
  std::array<lowrank::TrainingClock, 1> time{};
  clock.upload(time);
  training.advance(clock.data(), 3);  // as record() asks
  const auto recorded = device.record([&] {
    for (int i = 0; i < 4; ++i) training.advance(clock.data(), 10);
  });
  clock.download(time);
  CHECK(time[0].step == 1);
  recorded->run();
  recorded->run();
  clock.download(time);
  CHECK(time[0].step == 9);
  CHECK(time[0].next == 83);
  clock.upload(std::array{lowrank::TrainingClock{100, 0}});
  recorded->run();
  clock.download(time);
  CHECK(time[0].step == 104);
}

TEST_CASE("device: matrices of two devices do not mix") {
  Device& here = check::device();
  Device& other = &here == &guarded_device() ? lowrank::host_device() : guarded_device();
  const Matrix<double> A(4, 3, here), B(3, 2, other);
  Matrix<double> C(4, 2, here), R(3, 3, guarded_device()), X(4, 3, here);
  CHECK(check::contains(check::refusal([&] { lowrank::multiply<double>(1, A, B, 0, C); }), "different devices"));
  Matrix<double> Y(4, 3, other);
  CHECK(check::contains(check::refusal([&] { lowrank::add<double>(1, A, Y); }), "different devices"));
  CHECK(check::contains(check::refusal([&] { lowrank::solve_upper_right<double>(X, R); }), "on the host"));
}

TEST_CASE("device: products of float in TF32 are about as good as eleven bits, the others as good as float") {
  const bool there = lowrank::multiplies_rounded<float>(check::device(), Rounding::to_tf32);
  CHECK(!lowrank::multiplies_rounded<double>(check::device(), Rounding::to_tf32));
  const Index n = there ? 1024 : 60;  // cuBLAS takes TF32 for large products only.
  const Dense A = check::rounded<float>(check::gaussian(n, n, 1)), B = check::rounded<float>(check::gaussian(n, n, 2));
  const Dense expected = A * B;
  for (const Order order : orders) {
    Laid<float> a(A, order, 1), b(B, Order::col_major), c(Dense::Zero(n, n), Order::row_major, 2);
    const auto error = [&](const Dense& product) { return (product - expected).norm() / expected.norm(); };
    if (there) {
      lowrank::multiply_rounded<float>(Rounding::to_tf32, a, b, c);
      CHECK(error(check::dense<float>(c)) < 2e-3);
      CHECK(error(check::dense<float>(c)) > 1e-6);
      CHECK(c.gaps_untouched());
    } else {
      CHECK_THROWS_AS(lowrank::multiply_rounded<float>(Rounding::to_tf32, a, b, c), std::logic_error);
    }
    CHECK(error(check::dense(lowrank::product<float>(a, b))) < 1e-6);
  }
}

TEST_CASE_TEMPLATE("device: normal numbers are those of random.hpp bit for bit, far rows and odd widths too", T, float,
                   double) {
  for (const Index first_row : {Index{0}, (Index{1} << 32) - 3, (Index{1} << 40) + 1})
    for (const Order order : {Order::col_major, Order::row_major}) {
      Matrix<T> X(70, 33, order, check::device());
      lowrank::fill_normal<T>(X, 42 | 1ull << 50, 3, first_row);
      const Dense found = check::dense(X);
      Index others = 0;
      for (Index i = 0; i < X.rows(); ++i)
        for (Index j = 0; j < X.cols(); ++j) {
          const auto pair =
              lowrank::Philox(42 | 1ull << 50, 3)
                  .normal_pair(static_cast<std::uint64_t>(first_row + i), static_cast<std::uint32_t>(j / 2));
          others += found(i, j) != static_cast<double>(static_cast<T>(j % 2 == 0 ? pair.first : pair.second));
        }
      CHECK(others == 0);
    }
}

TEST_CASE("device: whoever touches the guarded device's memory from the host dies") {
  Matrix<double> A(3, 3, guarded_device());
  lowrank::fill<double>(A, 1);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    volatile const double* entry = A.data();
    _exit(*entry == 1 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}
