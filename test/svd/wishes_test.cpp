#include "svd_check.hpp"

using check::Laid;
using check::methods;
using check::with;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::SvdMethod;
using lowrank::SvdOptions;
using lowrank::Truncation;

TEST_CASE_TEMPLATE("svd wishes: what is empty, double or out of range is refused", T, float, double) {
  const auto A = check::family_matrix<T>({"", "exp:0.1"}, 30, 20);
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const std::vector<Truncation> wrong{{},
                                      {.rank = -1},
                                      {.rank = 21},
                                      {.rank = 1000000},
                                      {.energy = -0.5},
                                      {.energy = 1.0000001},
                                      {.energy = nan},
                                      {.energy = inf},
                                      {.rtol = -1e-3},
                                      {.rtol = 1},
                                      {.rtol = 2},
                                      {.rtol = nan},
                                      {.rtol = inf},
                                      {.rank = 3, .energy = 0.9},
                                      {.rank = 3, .energy = 0, .rtol = 0.1},
                                      {.rank = 0, .energy = 0.9, .rtol = 0.1},
                                      {.rank = 1, .energy = 0.5, .rtol = 0.5}};
  for (const SvdMethod method : methods)
    for (const Truncation& wish : wrong) {
      CAPTURE(wish.rank);
      CAPTURE(wish.energy);
      CAPTURE(wish.rtol);
      CHECK_THROWS_AS(lowrank::truncated_svd(A, wish, with(method)), std::invalid_argument);
    }
  const auto message = check::refusal([&] { lowrank::truncated_svd(A, {.rank = 21}); });
  CHECK(check::contains(message, "21"));
  CHECK(check::contains(message, "20"));
  CHECK(check::contains(check::refusal([&] { lowrank::truncated_svd(A, {.rtol = 1.5}); }), "1.5"));
}

TEST_CASE_TEMPLATE("svd wishes: NaN and Inf in the matrix are named with their place", T, float, double) {
  for (const SvdMethod method : methods)
    for (const check::Order order : {check::Order::col_major, check::Order::row_major}) {
      Laid<T> A(check::gaussian(60, 45, 1), order, 2);
      A(51, 33) = std::numeric_limits<T>::quiet_NaN();
      auto message = check::refusal([&] { lowrank::truncated_svd(A.view(), {.rank = 3}, with(method)); });
      for (const char* part : {"NaN", "51", "33"}) CHECK(check::contains(message, part));
      A(51, 33) = -std::numeric_limits<T>::infinity();
      message = check::refusal([&] { lowrank::truncated_svd(A.view(), {.rtol = 0.1}, with(method)); });
      for (const char* part : {"Inf", "51", "33"}) CHECK(check::contains(message, part));
    }
}

TEST_CASE("svd wishes: what float cannot reach is said, not claimed") {
  const auto A = check::family_matrix<float>({"", "poly:0.5"}, 120, 90);
  for (const SvdMethod method : methods) {
    const auto svd = lowrank::truncated_svd(A, {.rtol = 1e-12}, with(method));
    CHECK_FALSE(svd.converged);
    CHECK(!svd.reason.empty());
    CHECK(svd.rank() == 90);
    CHECK(svd.certificate.relative_error > 1e-12);
    CHECK(svd.certificate.relative_error < 1e-4);
  }
}

TEST_CASE_TEMPLATE("svd wishes: energy 1 keeps all that is there", T, float, double) {
  const auto A = check::family_matrix<T>({"", "step:12,0"}, 80, 60);
  for (const SvdMethod method : methods) {
    const auto svd = lowrank::truncated_svd(A, {.energy = 1}, with(method));
    CHECK(svd.rank() >= 12);
    CHECK(svd.certificate.relative_error < 100 * check::eps<T>);
  }
}

TEST_CASE_TEMPLATE("svd wishes: too few products are said", T, float, double) {
  const auto A = check::family_matrix<T>({"", "poly:0.5"}, 300, 300);
  for (const SvdMethod method : {SvdMethod::randomized, SvdMethod::krylov}) {
    auto options = with(method);
    options.max_products = 2;
    const auto svd = lowrank::truncated_svd(A, {.rank = 10}, options);
    CHECK(svd.products <= 2);
    CHECK_FALSE(svd.converged);
    CHECK(!svd.reason.empty());
    CHECK(svd.rank() == 10);
    // What came out is certified all the same.
    const check::Dense E = check::dense(A) - check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
    CHECK(svd.certificate.relative_error * check::dense(A).norm() >= E.norm() * (1 - 1e-4));
    CHECK(svd.certificate.error_bound >= check::spectral_norm(E) * (1 - 1e-4));
  }
}

TEST_CASE_TEMPLATE("svd wishes: a smaller excess gives a smaller error", T, float, double) {
  const auto A = check::family_matrix<T>({"", "poly:0.5"}, 300, 250);
  const check::Reference<T> ref(A);
  for (const SvdMethod method : {SvdMethod::randomized, SvdMethod::krylov})
    for (const double excess : {0.1, 0.01, 1e-4}) {
      auto options = with(method);
      options.excess = excess;
      const auto svd = lowrank::truncated_svd(A, {.rank = 20}, options);
      const check::Dense E = ref.A - check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
      CAPTURE(excess);
      CHECK(svd.converged);
      // What is expected of an extrapolation: twice the wish where that is far below a hundredth.
      CHECK(E.norm() <=
            (1 + (excess < 0.01 ? 2 * excess : excess)) * check::best_error(ref.sigma, 20) + ref.rounding());
    }
}

TEST_CASE_TEMPLATE("svd wishes: any oversampling, none too", T, float, double) {
  const auto A = check::family_matrix<T>({"", "exp:0.05"}, 150, 100);
  const check::Reference<T> ref(A);
  for (const SvdMethod method : {SvdMethod::randomized, SvdMethod::krylov})
    for (const Index oversample : {0, 1, 30, 1000}) {
      auto options = with(method);
      options.oversample = oversample;
      CAPTURE(oversample);
      CAPTURE(static_cast<int>(method));
      check::check_svd<T>(ref, {.rank = 10}, lowrank::truncated_svd(A, {.rank = 10}, options));
    }
}

TEST_CASE("svd wishes: progress is told, and an exception from it reaches the caller") {
  const auto A = check::family_matrix<double>({"", "poly:0.5"}, 400, 300);
  for (const SvdMethod method : {SvdMethod::randomized, SvdMethod::krylov}) {
    int calls = 0;
    auto options = with(method);
    options.progress = [&](const lowrank::Progress& progress) {
      ++calls;
      CHECK(!progress.stage.empty());
      CHECK(progress.fraction <= 1);
    };
    lowrank::truncated_svd(A, {.rank = 20}, options);
    CHECK(calls > 0);
    struct Stop {};
    options.progress = [](const lowrank::Progress&) { throw Stop{}; };
    CHECK_THROWS_AS(lowrank::truncated_svd(A, {.rank = 20}, options), Stop);
  }
}

TEST_CASE_TEMPLATE("svd wishes: the same seed gives the same result for one and two threads", T, float, double) {
  const auto A = check::family_matrix<T>({"", "exp:0.02"}, 320, 210);
  for (const SvdMethod method : methods)
    for (const Truncation wish : {Truncation{.rank = 15}, {.rtol = 0.1}}) {
      auto options = with(method);
      options.seed = 7;
      options.rounded_passes = false;
      const auto run = [&](int count) {
        const check::Threads threads(count);
        return lowrank::truncated_svd(A, wish, options);
      };
      const auto one = run(1), again = run(1), two = run(2);
      REQUIRE(one.rank() == two.rank());
      REQUIRE(one.rank() == again.rank());
      CHECK(one.products == two.products);
      CHECK(check::dense(one.U) == check::dense(again.U));
      const auto product = [](const lowrank::Svd<T>& svd) {
        return check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
      };
      CHECK((product(one) - product(two)).norm() <= 200 * check::eps<T> * check::dense(A).norm());
      // The leading values are distinct here, so the vectors are defined.
      CHECK((check::dense(one.U) - check::dense(two.U)).leftCols(3).norm() <= 1e4 * check::eps<T>);
      CHECK(check::near(one.certificate.error_bound, two.certificate.error_bound, 1e-2));
    }
}

TEST_CASE("svd wishes: with products in float one and two threads agree to float's rounding") {
  const auto A = check::family_matrix<double>({"", "exp:0.02"}, 320, 210);
  for (const SvdMethod method : {SvdMethod::randomized, SvdMethod::krylov}) {
    const auto run = [&](int count) {
      const check::Threads threads(count);
      return lowrank::truncated_svd(A, {.rank = 15}, with(method));
    };
    const auto one = run(1), again = run(1), two = run(2);
    CHECK(check::dense(one.U) == check::dense(again.U));
    REQUIRE(one.rank() == two.rank());
    const auto product = [](const lowrank::Svd<double>& svd) {
      return check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
    };
    CHECK((product(one) - product(two)).norm() <= 20 * check::eps<float> * check::dense(A).norm());
  }
}
