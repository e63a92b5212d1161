#include <doctest/doctest.h>

#include "run_command.hpp"

TEST_CASE("rank: JSON has every key") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(12, 9));
  const auto json = run({"rank", W, "--json"}).json();
  for (const char* key : {"rank", "tolerance", "convention", "method", "certified", "shape", "dtype", "sigma_max",
                          "sigma_rank", "sigma_next", "stable_rank", "seconds"})
    CHECK_MESSAGE(json.contains(key), key);
  CHECK(json.at("rank") == 2);
  CHECK(json.at("shape") == nlohmann::json{12, 9});
  CHECK(json.at("dtype") == "f64");
  CHECK(json.at("certified").is_boolean());
  CHECK_FALSE(json.contains("singular_values"));
  CHECK(run({"rank", W, "--json", "--values", "--method", "svd"}).json().at("singular_values").size() == 9);
}

TEST_CASE("rank: tolerances and methods") {
  TestFolder folder;
  const std::string D = folder.write("D.npy", Eigen::MatrixXd(Eigen::Vector4d(8, 4, 1, 0.25).asDiagonal()));
  CHECK(run({"rank", D, "--json"}).json().at("rank") == 4);
  CHECK(run({"rank", D, "--tol", "2", "--json"}).json().at("rank") == 2);
  const auto relative = run({"rank", D, "--rtol", "0.1", "--json"}).json();
  CHECK(relative.at("rank") == 3);
  CHECK(relative.at("tolerance").get<double>() == doctest::Approx(0.8));
  for (const char* method : {"auto", "svd", "qr", "randomized"})
    CHECK(run({"rank", D, "--method", method, "--json"}).json().at("rank") == 4);
}

TEST_CASE("rank: text says how it was decided") {
  TestFolder folder;
  const Outcome outcome = run({"rank", folder.write("W.npy", rank_two(12, 9))});
  CHECK(outcome.out.starts_with("rank 2 of 12 x 9 (f64): "));
  for (const char* word : {"tolerance", "sigma_max", "sigma_next", "gap", "stable rank", "effective rank", "reason"})
    CHECK_MESSAGE(outcome.out.find(word) != std::string::npos, word);
}

TEST_CASE("rank: empty, zero, one row, one column, wide") {
  TestFolder folder;
  const auto rank = [&](const Eigen::MatrixXd& W) {
    return run({"rank", folder.write("W.npy", W), "--json"}).json().at("rank").get<int>();
  };
  CHECK(rank(Eigen::MatrixXd(0, 5)) == 0);
  CHECK(rank(Eigen::MatrixXd(0, 0)) == 0);
  CHECK(rank(Eigen::MatrixXd::Zero(4, 3)) == 0);
  CHECK(rank(Eigen::MatrixXd::Ones(1, 7)) == 1);
  CHECK(rank(Eigen::MatrixXd::Ones(7, 1)) == 1);
  CHECK(rank(rank_two(3, 50)) == 2);
}

TEST_CASE("rank: a file above --memory is read block by block") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(600, 500));
  const Outcome outcome = run({"rank", W, "--memory", "1MiB", "--json"});
  CHECK(outcome.json().at("rank") == 2);
  CHECK(outcome.json().at("reason").get<std::string>().find("block by block") != std::string::npos);
  CHECK(outcome.err.find("W.npy") != std::string::npos);
}

TEST_CASE("rank: sparse") {
  TestFolder folder;
  const std::string A = folder.write(
      "A.mtx", std::string("%%MatrixMarket matrix coordinate real general\n5 4 3\n1 1 2\n3 2 -1\n5 4 7\n"));
  CHECK(run({"rank", A, "--json"}).json().at("rank") == 3);
}

TEST_CASE("rank: tolerances that make no sense are refused") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  check_refused({"rank", W, "--tol", "0"}, 2, {"--tol 0", "positive"});
  check_refused({"rank", W, "--rtol", "-1e-3"}, 2, {"--rtol -0.001", "positive"});
  check_refused({"rank", W, "--tol", "1", "--rtol", "1"}, 2, {"--tol", "--rtol"});
}
