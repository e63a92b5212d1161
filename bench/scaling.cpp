#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <lowrank/svd/svd.hpp>

#include "benchmarks.hpp"
#include "counted.hpp"
#include "families.hpp"

namespace lowrank::bench {
namespace {

std::vector<int> default_threads() {
  std::vector<int> counts{1};
  while (2 * counts.back() <= threads()) counts.push_back(2 * counts.back());
  if (counts.back() != threads()) counts.push_back(threads());
  return counts;
}

/// All thread counts in turns at one size and rank; the number of threads in use is as before afterwards.
template <Real T>
void run(const TestMatrix<T>& matrix, Index rank, const std::vector<int>& counts, const Options& options, Table& table,
         Json& json) {
  const DenseOperator<T> dense(matrix.A.view());
  const double bytes = static_cast<double>(matrix.A.size()) * sizeof(T);
  const int before = threads();
  std::vector<std::unique_ptr<CountedOperator<T>>> operators;
  std::vector<Svd<T>> results(counts.size());
  std::vector<Contender> contenders;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    set_threads(counts[i]);
    auto& counted = *operators.emplace_back(std::make_unique<CountedOperator<T>>(dense, bytes, rates_for<T>(bytes)));
    contenders.push_back({[&, i] {
      set_threads(counts[i]);
      counted.reset();
      results[i] = truncated_svd<T>(counted, {.rank = rank}, {.seed = options.seed});
    }});
  }
  alternate(contenders, {.repeats = options.repeats});
  set_threads(before);
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon()), optimum = matrix.optimum(rank);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const Svd<T>& svd = results[i];
    const double error = measured_error<T>(matrix.A.view(), svd.U.view(), svd.S.data(), svd.V.view(), matrix.norm);
    const Samples& samples = contenders[i].samples;
    const double floor = operators[i]->floor(), speedup = contenders[0].samples.median() / samples.median();
    table.add({shape_text(matrix.A.rows(), matrix.A.cols()), std::string(dtype_name<T>()), std::to_string(rank),
               std::to_string(counts[i]), fmt::format("{:.3e}", error), fmt::format("{:.3e}", optimum),
               excess_text(error, optimum, eps), samples_text(samples), seconds_text(floor),
               fmt::format("{:.1f}", samples.median() / floor), fmt::format("{:.2f}", speedup)});
    json.push_back({{"rows", matrix.A.rows()},
                    {"cols", matrix.A.cols()},
                    {"dtype", dtype_name<T>()},
                    {"rank", rank},
                    {"threads", counts[i]},
                    {"error", error},
                    {"optimum", optimum},
                    {"method", svd.method},
                    {"products", svd.products},
                    {"seconds", as_json(samples)},
                    {"floor", floor},
                    {"speedup", speedup}});
  }
}

}  // namespace

Json scaling_benchmark(const Options& options) {
  const auto counts = or_default<int>(options.threads, default_threads());
  std::vector<std::pair<Index, Index>> shapes;
  for (const Index size : or_default<Index>(options.sizes, {1024, 2048, 4096})) shapes.emplace_back(size, size);
  if (options.rows > 0 && options.cols > 0) shapes = {{options.rows, options.cols}};
  constexpr Index terms = 200;
  Table table({"shape", "dtype", "rank", "threads", "error", "optimum", "above it", "time (least - greatest)", "floor",
               "time/floor", "speedup"});
  Json json = Json::array();
  for (const std::string& dtype : or_default<std::string>(options.dtypes, {"f32", "f64"}))
    for (const auto& [rows, cols] : shapes)
      for_dtype(dtype, [&]<class T>() {
        const TestMatrix<T> matrix = make_decaying<T>(rows, cols, terms, options.seed);
        for (const Index rank : or_default<Index>(options.ranks, {10, 20, 50, 100, 200}))
          if (rank <= std::min(rows, cols)) run<T>(matrix, rank, counts, options, table, json);
        fmt::print(stderr, "  {} {}\n", shape_text(rows, cols), dtype);
      });
  fmt::print(
      "\nTruncated SVD (automatic) of 0.97^i ({} terms) plus noise 1e-3. The floor is that of as many threads.\n\n",
      terms);
  table.print();
  return json;
}

}  // namespace lowrank::bench
