#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <lowrank/core/device.hpp>
#include <lowrank/core/environment.hpp>
#include <lowrank/core/error.hpp>

#include "benchmarks.hpp"
#include "families.hpp"
#include "machine.hpp"

namespace lowrank::bench {
namespace {

struct Entry {
  const char* name;
  const char* description;
  Json (*run)(const Options&);
};

constexpr Entry menu[] = {
    {"error", "reconstruction error and time against rank: families x methods, with optimum and floor",
     error_benchmark},
    {"rank", "numerical rank of deficient, half-rank, full-rank and undecidable matrices", rank_benchmark},
    {"products", "panel kernels over 1 to 512 columns, against OpenBLAS and the floor", products_benchmark},
    {"sparse", "sparse panel products, and the SVD of a sparse matrix", sparse_benchmark},
    {"scaling", "the SVD over threads, sizes and ranks", scaling_benchmark},
    {"device", "SVD, rank and singular values by the CPU and by --device; only where it is named", device_benchmark},
};

void print_list() {
  fmt::print("benchmarks:\n");
  for (const Entry& entry : menu) fmt::print("  {:<10} {}\n", entry.name, entry.description);
  fmt::print("families (also: spectra, named, all, file:PATH):\n");
  for (const FamilyInfo& info : families()) fmt::print("  {:<12} {}\n", info.name, info.description);
  fmt::print("methods: exact, randomized, krylov, automatic\n");
}

void describe(CLI::App& app, Options& options, std::vector<std::string>& chosen, bool& list) {
  std::vector<std::string> names;
  for (const Entry& entry : menu) names.emplace_back(entry.name);
  app.add_option("benchmark", chosen, "which benchmarks; if none is named all that run on the CPU")
      ->check(CLI::IsMember(names));
  app.add_flag("--list", list, "list benchmarks, families and methods");
  app.add_option("--rows", options.rows, "rows of the matrices")->check(CLI::PositiveNumber);
  app.add_option("--cols", options.cols, "columns of the matrices")->check(CLI::PositiveNumber);
  const auto several = [&](const std::string& flag, auto& values, const std::string& help) {
    return app.add_option(flag, values, help)->delimiter(',')->allow_extra_args(false);
  };
  several("--dtype", options.dtypes, "f32, f64 or f32,f64")->check(CLI::IsMember({"f32", "f64"}));
  several("--ranks", options.ranks, "ranks of error, sparse and scaling")->check(CLI::PositiveNumber);
  several("--sizes", options.sizes, "sides of the square matrices of scaling")->check(CLI::PositiveNumber);
  several("--columns", options.columns, "columns of the panels of products and sparse")->check(CLI::PositiveNumber);
  several("--families", options.families, "families of error");
  several("--methods", options.methods, "methods of error")
      ->check(CLI::IsMember({"exact", "randomized", "krylov", "automatic"}));
  several("--threads", options.threads, "how many threads; for scaling a list")->check(CLI::PositiveNumber);
  app.add_option("--entries", options.entries, "entries of the sparse matrix")->check(CLI::PositiveNumber);
  app.add_option("--repeats", options.repeats, "timed runs of each (default 5)")->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "seed of the matrices and of the methods");
  app.add_option("--device", options.device, "device of the benchmark device (default cuda)");
  app.add_option("--json", options.json, "write all figures to this file");
  app.add_option("--plot", options.plot, "error: draw error and time to this .svg");
}

Json settings_of(const Options& options) {
  return {{"repeats", options.repeats}, {"seed", options.seed}, {"threads", threads()}};
}

int run(int argc, char** argv) {
  Options options;
  std::vector<std::string> chosen;
  bool list = false;
  CLI::App app("Speed of lowrank, never without the error beside it. Times are medians of runs in turns.",
               "lowrank-bench");
  describe(app, options, chosen, list);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (list) {
    print_list();
    return 0;
  }
  static_cast<void>(expand_families(options.families));
  set_threads(options.threads.empty() ? 0 : *std::max_element(options.threads.begin(), options.threads.end()));
  print_machine();
  Json report{{"machine", machine_description()}, {"settings", settings_of(options)}, {"results", Json::object()}};
  for (const Entry& entry : menu) {
    const bool named = std::find(chosen.begin(), chosen.end(), entry.name) != chosen.end();
    if (!named && (!chosen.empty() || entry.run == device_benchmark)) continue;
    fmt::print("\n## {}\n", entry.name);
    std::fflush(stdout);
    const double start = now();
    report["results"][entry.name] = entry.run(options);
    fmt::print("\n{} took {:.0f} s\n", entry.name, now() - start);
  }
  print_rates();
  report["rates"] = rates_used();
  if (!options.json.empty()) write_file(options.json, report.dump(1) + "\n");
  return 0;
}

}  // namespace
}  // namespace lowrank::bench

int main(int argc, char** argv) {
  lowrank::restart_with_wanted_environment(argv);
  try {
    return lowrank::bench::run(argc, argv);
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "lowrank-bench: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "lowrank-bench: {}\n", error.what());
    return 3;
  }
}
