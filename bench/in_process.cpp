#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <lowrank/core/environment.hpp>
#include <lowrank/io/load.hpp>
#include <lowrank/op/from_file.hpp>
#include <lowrank/svd/rank.hpp>
#include <lowrank/svd/svd.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

/// The library as a program calls it again and again: reads a matrix, then for every line of its input does the work
/// once and writes a line of JSON with its seconds. peers/compare.py has it beside the command, whose every run pays
/// for a new process.

namespace lowrank::bench {
namespace {

nlohmann::json once(const AnyOperator& A, Index rank) {
  return std::visit(
      [&](const auto& op) -> nlohmann::json {
        if (rank == 0) {
          const RankResult found = matrix_rank(*op);
          return {{"seconds", found.seconds}, {"rank", found.rank}};
        }
        const auto svd = truncated_svd(*op, {.rank = rank});
        return {{"seconds", svd.seconds}, {"relative_error", svd.certificate.relative_error}};
      },
      A);
}

/// A program's matrix lies in memory of its own, a loaded one may be a mapped file.
constexpr auto into_own_memory = [](auto& content) {
  if constexpr (requires { content.clone(); }) content = content.clone();
};

int run(int argc, char** argv) {
  std::string file;
  Index rank = 0;
  int count = 0;
  CLI::App app("Does the same work once for every line of its input, and writes the seconds as JSON.",
               "lowrank-in-process");
  app.add_option("FILE", file, "the matrix")->required();
  app.add_option("--rank", rank, "the truncated SVD of this rank; else the numerical rank")->check(CLI::PositiveNumber);
  app.add_option("--threads", count, "how many (default: all cores)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  set_threads(count);
  LoadedMatrix loaded = load_matrix(file);
  std::visit(into_own_memory, loaded.content);
  const AnyOperator A = operator_over(loaded);
  for (std::string line; std::getline(std::cin, line);) std::cout << once(A, rank).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace lowrank::bench

int main(int argc, char** argv) {
  lowrank::restart_with_wanted_environment(argv);
  try {
    return lowrank::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "lowrank-in-process: {}\n", error.what());
    return 3;
  }
}
