#include <doctest/doctest.h>

#include <fstream>

#include "run_command.hpp"
#include "tools/command_path.hpp"

namespace {

/// test/data/svd_transcript.json as matrices; a list of numbers is one column.
Eigen::MatrixXd expected(const std::string& name) {
  static const nlohmann::json all = nlohmann::json::parse(std::ifstream(TOOLS_TEST_DATA "/svd_transcript.json"));
  const nlohmann::json& values = all.at(name);
  const bool vector = values.at(0).is_number();
  Eigen::MatrixXd m(static_cast<Eigen::Index>(values.size()), vector ? 1 : static_cast<Eigen::Index>(values[0].size()));
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) {
      const auto& row = values[static_cast<std::size_t>(i)];
      m(i, j) = vector ? row.get<double>() : row[static_cast<std::size_t>(j)].get<double>();
    }
  return m;
}

}  // namespace

TEST_CASE("transcript: the seed's matrix, its rank, its factors and the proof that they do the same") {
  TestFolder folder;
  const std::string W = folder / "W.npy", factors = folder / "F.safetensors";
  REQUIRE(run({"gen", "--rows", "10", "--cols", "10", "--rank", "2", "--dtype", "f32", "--rng", "torch", "--seed", "0",
               "-o", W})
              .status == 0);
  CHECK((read(W) - expected("W")).cwiseAbs().maxCoeff() <= 1e-6);

  const Outcome rank = run({"rank", W, "--json"});
  CHECK(rank.json().at("rank") == 2);

  const auto factor = run({"factor", W, "--rank", "2", "-o", factors, "--json"}).json();
  CHECK(factor.at("parameters_before") == 100);
  CHECK(factor.at("parameters_after") == 40);
  const Eigen::MatrixXd B = read(factors + ":B"), A = read(factors + ":A");
  REQUIRE((B.rows() == 10 && B.cols() == 2 && A.rows() == 2 && A.cols() == 10));

  const Eigen::MatrixXd bias = expected("bias"), x = expected("x"), y = expected("y");
  CHECK((B * (A * x) + bias - y).cwiseAbs().maxCoeff() <= 1e-4);
  const std::string b_file = folder.write("b.npy", Eigen::MatrixXf(bias.cast<float>()));
  const std::string x_file = folder.write("x.npy", Eigen::MatrixXf(x.cast<float>()));
  const Outcome verified = run({"verify", W, factors, "--bias", b_file, "--input", x_file});
  CHECK(verified.status == 0);
  CHECK(verified.out.ends_with("equal\n"));
  CHECK(verified.out.find("NOT") == std::string::npos);
  CHECK(verified.out.find("7.2684") != std::string::npos);  // y(0), on both sides
}
