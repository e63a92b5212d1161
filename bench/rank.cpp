#include <fmt/core.h>

#include <algorithm>
#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/spectrum.hpp>
#include <lowrank/svd/rank.hpp>

#include "benchmarks.hpp"
#include "counted.hpp"

namespace lowrank::bench {
namespace {

/// A matrix whose rank is known from how it was made; -1: what the SVD says.
struct RankCase {
  std::string name;
  GenerateOptions made;
  Index rank;
};

std::vector<RankCase> cases(Index rows, Index cols, std::uint64_t seed) {
  const Index n = std::min(rows, cols), low = std::max<Index>(1, n / 40), half = std::max<Index>(1, n / 2);
  return {
      {fmt::format("rank {}", low), {.rows = rows, .cols = cols, .rank = low, .seed = seed}, low},
      {fmt::format("rank {}", half), {.rows = rows, .cols = cols, .rank = half, .seed = seed}, half},
      {"full rank, Gaussian", {.rows = rows, .cols = cols, .seed = seed}, n},
      {fmt::format("{} ones, then 1e-3", low),
       {.rows = rows, .cols = cols, .sigma = spectrum(fmt::format("step:{},1e-3", low), n), .seed = seed},
       n},
      {"rank within rounding of the tolerance",
       {.rows = rows,
        .cols = cols,
        .sigma = spectrum(fmt::format("exp:{}", 32.0 / static_cast<double>(n)), n),
        .seed = seed},
       -1},
  };
}

/// The least flops of the method that decided, beside the sweeps that were counted.
double lapack_flops(const std::string& method, Index rows, Index cols) {
  const double m = static_cast<double>(std::max(rows, cols)), n = static_cast<double>(std::min(rows, cols));
  if (method == "svd") return 4 * m * n * n - 4.0 / 3 * n * n * n;
  return method == "qr" ? 2 * m * n * n - 2.0 / 3 * n * n * n : 0;
}

std::string verdict(Index found, Index expected) {
  if (found == expected) return fmt::format("{}, right", found);
  return fmt::format("{}, WRONG: {}", found, expected);
}

template <Real T>
void run_case(const RankCase& each, const Options& options, Table& table, Json& json) {
  const Matrix<T> A = generate<T>(each.made);
  const DenseOperator<T> dense(A.view());
  const double bytes = static_cast<double>(A.size()) * sizeof(T);
  const Rates rates = rates_for<T>(bytes);
  CountedOperator<T> counted(dense, bytes, rates);
  RankResult automatic, svd;
  std::vector<Contender> contenders{{[&] {
                                      counted.reset();
                                      automatic = matrix_rank<T>(counted, {.seed = options.seed});
                                    }},
                                    {[&] { svd = matrix_rank<T>(dense, {.method = RankMethod::svd}); }}};
  alternate(contenders, {.repeats = options.repeats, .budget = 5});
  const Index expected = each.rank < 0 ? svd.rank : each.rank;
  const double counted_floor = counted.floor();
  for (const auto& [asked, result, samples, swept] :
       {std::tuple{"automatic", automatic, contenders[0].samples, counted_floor},
        std::tuple{"svd", svd, contenders[1].samples, 0.0}}) {
    const double floor = swept + lapack_flops(result.method, A.rows(), A.cols()) / rates.flops;
    table.add({each.name, shape_text(A.rows(), A.cols()), std::string(dtype_name<T>()),
               result.method == asked ? asked : fmt::format("{}: {}", asked, result.method),
               verdict(result.rank, expected), result.certified ? "yes" : "no", samples_text(samples),
               seconds_text(floor), fmt::format("{:.1f}", samples.median() / floor)});
    json.push_back({{"case", each.name},
                    {"rows", A.rows()},
                    {"cols", A.cols()},
                    {"dtype", dtype_name<T>()},
                    {"asked", asked},
                    {"method", result.method},
                    {"rank", result.rank},
                    {"expected", expected},
                    {"certified", result.certified},
                    {"reason", result.reason},
                    {"floor", floor},
                    {"seconds", as_json(samples)}});
  }
}

}  // namespace

Json rank_benchmark(const Options& options) {
  const Index rows = options.rows > 0 ? options.rows : 2000, cols = options.cols > 0 ? options.cols : 2000;
  Table table(
      {"matrix", "shape", "dtype", "method", "rank", "certified", "time (least - greatest)", "floor", "time/floor"});
  Json json = Json::array();
  for (const std::string& dtype : or_default<std::string>(options.dtypes, {"f32", "f64"}))
    for (const RankCase& each : cases(rows, cols, options.seed)) {
      for_dtype(dtype, [&]<class T>() { run_case<T>(each, options, table, json); });
      fmt::print(stderr, "  {} {}\n", each.name, dtype);
    }
  fmt::print("\nNumerical rank, NumPy's tolerance. Right: as the matrix was made, or as the SVD says.\n\n");
  table.print();
  return json;
}

}  // namespace lowrank::bench
