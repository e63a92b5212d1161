#include <doctest/doctest.h>

#include <Eigen/SVD>
#include <cmath>
#include <fstream>
#include <sstream>

#include "run_command.hpp"

TEST_CASE("svd: JSON has every key, and the factors written are those of the matrix") {
  TestFolder folder;
  const Eigen::MatrixXd W = rank_two(12, 9);
  const std::string file = folder.write("W.npy", W);
  for (const char* name : {"out.npz", "out.safetensors"}) {
    const auto json = run({"svd", file, "--rank", "2", "-o", folder / name, "--json"}).json();
    for (const char* key : {"rank", "singular_values", "relative_error", "error_bound", "error_bound_probability",
                            "method", "reason", "passes", "converged", "shape", "dtype", "seconds"})
      CHECK_MESSAGE(json.contains(key), key);
    CHECK(json.at("rank") == 2);
    CHECK(json.at("converged") == true);
    const std::string out = folder / name;
    const Eigen::MatrixXd U = read(out + ":U"), S = read(out + ":S"), Vt = read(out + ":Vt");
    REQUIRE((U.rows() == 12 && U.cols() == 2 && S.size() == 2 && Vt.rows() == 2 && Vt.cols() == 9));
    CHECK((U * S.asDiagonal() * Vt - W).norm() < 1e-13 * W.norm());
    CHECK(json.at("singular_values")[1].get<double>() == S(1));
  }
  CHECK(folder.names() == std::vector<std::string>{"W.npy", "out.npz", "out.safetensors"});
}

TEST_CASE("svd: energy and rtol are met, f32 stays f32") {
  TestFolder folder;
  REQUIRE(
      run({"gen", "--rows", "60", "--cols", "40", "--spectrum", "exp:0.1", "--dtype", "f32", "-o", folder / "W.npy"})
          .status == 0);
  const auto tolerance =
      run({"svd", folder / "W.npy", "--rtol", "1e-2", "-o", folder / "o.safetensors", "--json"}).json();
  CHECK(tolerance.at("relative_error").get<double>() <= 1e-2);
  CHECK(tolerance.at("dtype") == "f32");
  CHECK(run({"info", folder / "o.safetensors:U", "--json"}).json().at("dtype") == "F32");
  const auto energy = run({"svd", folder / "W.npy", "--energy", "0.85", "--json"}).json();
  CHECK(energy.at("rank") == 5);  // 1 - 10^(-0.2 r) >= 0.85
}

TEST_CASE("svd: without a wish the leading 10, in text") {
  TestFolder folder;
  REQUIRE(run({"gen", "--rows", "60", "--cols", "40", "--spectrum", "poly:1", "-o", folder / "W.npy"}).status == 0);
  const Outcome outcome = run({"svd", folder / "W.npy"});
  CHECK(outcome.out.find("leading 10") != std::string::npos);
  CHECK(outcome.out.find("0.3333333") != std::string::npos);
  for (const char* word : {"relative error", "error bound", "method", "passes", "converged"})
    CHECK_MESSAGE(outcome.out.find(word) != std::string::npos, word);
  CHECK(run({"svd", folder.write("small.npy", rank_two(3, 4)), "--json"}).json().at("rank") == 3);
}

TEST_CASE("svd: every method, and a file above --memory") {
  TestFolder folder;
  REQUIRE(run({"gen", "--rows", "600", "--cols", "400", "--spectrum", "exp:0.05", "-o", folder / "W.npy"}).status == 0);
  for (const char* method : {"auto", "exact", "randomized", "krylov"}) {
    const auto json = run({"svd", folder / "W.npy", "--rank", "5", "--method", method, "--json"}).json();
    CHECK(json.at("singular_values")[1].get<double>() == doctest::Approx(std::pow(10, -0.05)).epsilon(1e-3));
    if (std::string(method) != "auto") CHECK(json.at("method") == method);
  }
  const auto blocks = run({"svd", folder / "W.npy", "--rank", "5", "--memory", "1MiB", "--json"}).json();
  CHECK(blocks.at("reason").get<std::string>().find("block by block") != std::string::npos);
  CHECK(blocks.at("singular_values")[1].get<double>() == doctest::Approx(std::pow(10, -0.05)).epsilon(1e-3));
}

TEST_CASE("svd: empty and zero matrices") {
  TestFolder folder;
  const std::string empty = folder.write("empty.npy", Eigen::MatrixXd(0, 5));
  const std::string zero = folder.write("zero.npy", Eigen::MatrixXd(Eigen::MatrixXd::Zero(4, 3)));
  CHECK(run({"svd", empty, "--json"}).json().at("rank") == 0);
  CHECK(run({"svd", empty, "-o", folder / "o.npz", "--plot", folder / "p.svg"}).status == 0);
  CHECK(run({"svd", zero, "--rank", "2", "--json"}).json().at("singular_values") == nlohmann::json{0.0, 0.0});
  CHECK(run({"svd", zero, "--energy", "0.5", "--json"}).json().at("relative_error") == 0.0);
}

TEST_CASE("svd: the plot shows what is kept, what is not, and the rank") {
  TestFolder folder;
  REQUIRE(run({"gen", "--rows", "60", "--cols", "40", "--spectrum", "exp:0.1", "-o", folder / "a<b&c.npy"}).status ==
          0);
  REQUIRE(run({"svd", folder / "a<b&c.npy", "--rank", "7", "--plot", folder / "p.svg"}).status == 0);
  std::ostringstream text;
  text << std::ifstream(folder / "p.svg").rdbuf();
  const std::string svg = text.str();
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  for (const char* word :
       {">rank 7</text>", "a&lt;b&amp;c.npy", ">kept<", ">discarded<", "(60 x 40, f64): rank 7, relative error"})
    CHECK_MESSAGE(svg.find(word) != std::string::npos, word);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
  std::size_t dots = 0;
  for (std::size_t at = svg.find(" r=\"3\""); at != svg.npos; at = svg.find(" r=\"3\"", at + 1)) ++dots;
  CHECK(dots == 40);
}

TEST_CASE("svd and factor: wishes that make no sense are refused") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5)), out = folder / "o.npz";
  for (const char* name : {"svd", "factor"}) {
    const auto refused = [&](std::vector<std::string> wish, const std::vector<std::string>& words) {
      wish.insert(wish.begin(), {name, W, "-o", out});
      check_refused(wish, 2, words);
    };
    refused({"--rank", "6"}, {"W.npy", "--rank 6", "5", "6 x 5"});
    refused({"--rank", "0"}, {"--rank 0"});
    refused({"--rank", "-2"}, {"--rank -2"});
    refused({"--rank", "2", "--energy", "0.9"}, {"--rank", "--energy", "one"});
    refused({"--energy", "1.5"}, {"--energy 1.5"});
    refused({"--energy", "0"}, {"--energy 0"});
    refused({"--rtol", "0"}, {"--rtol 0"});
    refused({"--rtol", "-1"}, {"--rtol -1"});
  }
  check_refused({"factor", W, "-o", out}, 2, {"--rank", "needed"});
  check_refused({"factor", W, "--rank", "1"}, 2, {"-o"});
  check_refused({"svd", W, "-o", folder / "o.csv"}, 2, {"o.csv", ".npz"});
  check_refused({"svd", W, "--plot", folder / "o.png"}, 2, {"o.png", ".svg"});
  CHECK(folder.names() == std::vector<std::string>{"W.npy"});
}
