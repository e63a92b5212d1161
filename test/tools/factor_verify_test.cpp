#include <doctest/doctest.h>

#include <cmath>

#include "run_command.hpp"

TEST_CASE("factor: both splits multiply to the matrix; JSON has every key") {
  TestFolder folder;
  const Eigen::MatrixXd W = rank_two(12, 9);
  const std::string file = folder.write("W.npy", W);
  for (const char* split : {"us", "sqrt"}) {
    const std::string out = folder / "F.npz";
    const auto json = run({"factor", file, "--rank", "2", "--split", split, "-o", out, "--json"}).json();
    for (const char* key :
         {"rank", "singular_values", "relative_error", "error_bound", "error_bound_probability", "method", "reason",
          "passes", "converged", "shape", "dtype", "seconds", "parameters_before", "parameters_after"})
      CHECK_MESSAGE(json.contains(key), key);
    CHECK(json.at("parameters_before") == 108);
    CHECK(json.at("parameters_after") == 42);
    const Eigen::MatrixXd B = read(out + ":B"), A = read(out + ":A");
    CHECK((B * A - W).norm() < 1e-13 * W.norm());
    const double balance = B.col(0).norm() / A.row(0).norm();
    if (std::string(split) == "us")
      CHECK(A.row(0).norm() == doctest::Approx(1));
    else
      CHECK(balance == doctest::Approx(1));
  }
  const Outcome text = run({"factor", file, "--rank", "2", "-o", folder / "F.npz"});
  CHECK(text.out.find("108 -> 42 (38.9 %)") != std::string::npos);
}

TEST_CASE("verify: JSON has every key, and wrong factors are told") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(12, 9)), F = folder / "F.safetensors";
  REQUIRE(run({"factor", W, "--rank", "2", "-o", F}).status == 0);
  const Outcome good = run({"verify", W, F, "--json"});
  CHECK(good.status == 0);
  for (const char* key : {"equal", "max_abs_error", "relative_error", "tolerance", "seconds"})
    CHECK_MESSAGE(good.json().contains(key), key);
  CHECK(good.json().at("equal") == true);

  Eigen::MatrixXd other = rank_two(12, 9);
  other(3, 3) += 1e-3;
  const Outcome bad = run({"verify", folder.write("other.npy", other), F, "--json"});
  CHECK(bad.status == 1);
  CHECK(bad.json().at("equal") == false);
  const Outcome text = run({"verify", folder / "other.npy", F});
  CHECK(text.status == 1);
  CHECK(text.out.ends_with("NOT equal\n"));
  CHECK(text.err.empty());
  CHECK(run({"verify", folder / "other.npy", F, "--rtol", "0.5"}).status == 0);
}

TEST_CASE("verify: factors of another type are converted, with a note") {
  TestFolder folder;
  const Eigen::MatrixXd W = rank_two(12, 9);
  REQUIRE(run({"factor", folder.write("W.npy", W), "--rank", "2", "-o", folder / "F.npz"}).status == 0);
  const Outcome outcome = run({"verify", folder.write("W32.npy", Eigen::MatrixXf(W.cast<float>())), folder / "F.npz"});
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("F.npz:B: converted from f64 to f32") != std::string::npos);
}

TEST_CASE("verify: bias and inputs of one's own, as columns or as a row") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(12, 9)), F = folder / "F.npz";
  REQUIRE(run({"factor", W, "--rank", "2", "-o", F}).status == 0);
  const std::string b = folder.write("b.npy", Eigen::MatrixXd(Eigen::MatrixXd::Constant(1, 12, 100)));
  const std::string x = folder.write("x.npy", Eigen::MatrixXd(Eigen::MatrixXd::Zero(9, 3)));
  const Outcome outcome = run({"verify", W, F, "--bias", b, "--input", x});
  CHECK(outcome.status == 0);
  CHECK(outcome.out.find("100.000000") != std::string::npos);
  CHECK(outcome.out.find("the first of 3 inputs") != std::string::npos);
}

TEST_CASE("verify: shapes that do not fit are refused by name") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(12, 9)), F = folder / "F.npz";
  REQUIRE(run({"factor", W, "--rank", "2", "-o", F}).status == 0);
  const std::string wide = folder.write("wide.npy", rank_two(12, 10));
  check_refused({"verify", wide, F}, 3, {"F.npz", "12 x 2", "2 x 9", "wide.npy", "12 x 10"});
  const std::string five = folder.write("five.npy", Eigen::MatrixXd(Eigen::MatrixXd::Ones(5, 1)));
  check_refused({"verify", W, F, "--bias", five}, 3, {"five.npy", "5 x 1", "12"});
  check_refused({"verify", W, F, "--input", five}, 3, {"five.npy", "5 x 1", "9"});
  const std::string two = folder.write("two.npy", Eigen::MatrixXd(Eigen::MatrixXd::Ones(12, 2)));
  check_refused({"verify", W, F, "--bias", two}, 3, {"two.npy", "2 columns"});
  check_refused({"verify", W, W}, 3, {"W.npy"});
  check_refused({"verify", W, F, "--rtol", "0"}, 2, {"--rtol 0"});
  const std::string nan = folder.write("nan.npy", Eigen::MatrixXd(Eigen::MatrixXd::Constant(9, 1, NAN)));
  check_refused({"verify", W, F, "--input", nan}, 3, {"nan.npy", "NaN", "row 0"});
}
