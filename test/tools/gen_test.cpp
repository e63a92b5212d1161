#include <doctest/doctest.h>

#include <Eigen/SVD>
#include <cmath>

#include "run_command.hpp"

namespace {

Outcome gen(std::vector<std::string> arguments, const std::string& path) {
  arguments.insert(arguments.begin(), "gen");
  arguments.insert(arguments.end(), {"-o", path});
  return run(arguments);
}

Eigen::VectorXd singular_values(const std::string& path) {
  return Eigen::BDCSVD<Eigen::MatrixXd>(read(path)).singularValues();
}

}  // namespace

TEST_CASE("gen: shape, dtype and JSON") {
  TestFolder folder;
  const Outcome made = gen({"--rows", "7", "--cols", "4", "--dtype", "f32", "--seed", "3", "--json"}, folder / "W.npy");
  REQUIRE(made.status == 0);
  CHECK(made.json().at("shape") == nlohmann::json{7, 4});
  CHECK(made.json().at("dtype") == "f32");
  CHECK(made.json().at("seed") == 3);
  CHECK(run({"info", folder / "W.npy", "--json"}).json().at("dtype") == "<f4");
  CHECK(folder.names() == std::vector<std::string>{"W.npy"});
}

TEST_CASE("gen: a spectrum, cut by a rank, or from a file") {
  TestFolder folder;
  REQUIRE(gen({"--rows", "30", "--cols", "20", "--spectrum", "exp:0.1"}, folder / "E.npy").status == 0);
  const Eigen::VectorXd sigma = singular_values(folder / "E.npy");
  for (Eigen::Index i = 0; i < 20; ++i)
    CHECK(sigma(i) == doctest::Approx(std::pow(10, -0.1 * static_cast<double>(i))).epsilon(1e-10));
  REQUIRE(gen({"--rows", "30", "--cols", "20", "--spectrum", "exp:0.1", "--rank", "5"}, folder / "C.npy").status == 0);
  CHECK(run({"rank", folder / "C.npy", "--json"}).json().at("rank") == 5);

  const std::string S = folder.write("S.npy", Eigen::MatrixXd(Eigen::Vector3d(4, 2, 1)));
  REQUIRE(gen({"--rows", "6", "--cols", "9", "--spectrum", "file:" + S}, folder / "F.npy").status == 0);
  const Eigen::VectorXd three = singular_values(folder / "F.npy");
  CHECK((three.head(3) - Eigen::Vector3d(4, 2, 1)).norm() < 1e-12);
  CHECK(three.tail(3).norm() < 1e-12);
}

TEST_CASE("gen: named matrices and every format") {
  TestFolder folder;
  for (const char* name : {"H.npy", "H.npz", "H.csv", "H.csv.gz", "H.tsv", "H.mtx", "H.mtx.gz", "H.safetensors"}) {
    const Outcome made = gen({"--rows", "5", "--cols", "4", "--name", "hilbert"}, folder / name);
    CAPTURE(name);
    REQUIRE(made.status == 0);
    CHECK(read(folder / name)(2, 1) == 0.25);
  }
}

TEST_CASE("gen: the same seed gives the same bytes with one thread and with two") {
  TestFolder folder;
  for (const char* threads : {"1", "2"})
    REQUIRE(gen({"--rows", "300", "--cols", "200", "--rank", "20", "--noise", "1e-3", "--threads", threads},
                folder / (std::string(threads) + ".npy"))
                .status == 0);
  CHECK(read(folder / "1.npy") == read(folder / "2.npy"));
}

TEST_CASE("gen: empty and thin matrices") {
  TestFolder folder;
  CHECK(gen({"--rows", "0", "--cols", "5"}, folder / "0.npy").status == 0);
  CHECK(read(folder / "0.npy").rows() == 0);
  CHECK(gen({"--rows", "1", "--cols", "9"}, folder / "1.npy").status == 0);
  CHECK(read(folder / "1.npy").cols() == 9);
}

TEST_CASE("gen: what contradicts itself is refused, and no file is left") {
  TestFolder folder;
  const std::string W = folder / "W.npy";
  const std::vector<std::string> shape{"gen", "--rows", "10", "--cols", "8", "-o", W};
  const auto refused = [&](std::vector<std::string> more, int status, const std::vector<std::string>& words) {
    more.insert(more.begin(), shape.begin(), shape.end());
    check_refused(more, status, words);
  };
  check_refused({"gen", "--rows", "10", "-o", W}, 2, {"--rows and --cols"});
  check_refused({"gen", "--rows", "10", "--cols", "8"}, 2, {"-o"});
  check_refused({"gen", "--rows", "-1", "--cols", "8", "-o", W}, 2, {"--rows -1"});
  refused({"--rank", "0"}, 2, {"--rank 0"});
  refused({"--rank", "-3"}, 2, {"--rank -3"});
  refused({"--rank", "9"}, 2, {"--rank 9", "8"});
  refused({"--spectrum", "spiral:3"}, 2, {"spiral:3", "exp:Q"});
  refused({"--name", "nobody"}, 2, {"nobody", "hilbert"});
  refused({"--name", "hilbert", "--rank", "2"}, 2, {"rank"});
  refused({"--noise", "-1"}, 2, {"--noise -1"});
  refused({"--spectrum", "file:" + (folder / "none.npy")}, 3, {"none.npy", "No such file"});
  CHECK(folder.names().empty());
  const std::string S = folder.write("S.npy", Eigen::MatrixXd(Eigen::Vector3d(4, -2, 1)));
  refused({"--spectrum", "file:" + S}, 3, {"S.npy", "entry 1", "-2"});
  CHECK(folder.names() == std::vector<std::string>{"S.npy"});
}
