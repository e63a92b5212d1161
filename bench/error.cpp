#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <lowrank/svd/svd.hpp>
#include <map>
#include <stdexcept>

#include "benchmarks.hpp"
#include "counted.hpp"
#include "families.hpp"
#include "plot.hpp"

namespace lowrank::bench {
namespace {

SvdMethod method_of(const std::string& name) {
  if (name == "exact") return SvdMethod::exact;
  if (name == "randomized") return SvdMethod::randomized;
  if (name == "krylov") return SvdMethod::krylov;
  return SvdMethod::automatic;
}

/// One method at one rank: what it took, what came out.
struct Outcome {
  std::string family, dtype, asked;
  Index rows, cols, rank;
  double error, optimum, eps, reported_error, error_bound, floor;
  std::string method;
  Index products, passes;
  bool converged;
  Samples samples;
};

/// Flops of LAPACK's thin SVD with vectors.
double exact_flops(Index rows, Index cols) {
  const double m = static_cast<double>(std::max(rows, cols)), n = static_cast<double>(std::min(rows, cols));
  return 4 * m * n * n + 22 * n * n * n;
}

template <Real T>
class FamilyRuns {
 public:
  FamilyRuns(const Options& options, const std::string& family, Index rows, Index cols)
      : options_(options),
        family_(family),
        matrix_(make_matrix<T>(family, rows, cols, options.seed)),
        bytes_(static_cast<double>(matrix_.A.size()) * sizeof(T)),
        rates_(rates_for<T>(bytes_)),
        dense_(matrix_.A.view()) {}

  /// The truncated methods at one rank in turns.
  std::vector<Outcome> truncated(Index rank, const std::vector<std::string>& methods) const {
    std::vector<std::unique_ptr<CountedOperator<T>>> operators;
    std::vector<Svd<T>> results(methods.size());
    std::vector<Contender> contenders;
    for (std::size_t i = 0; i < methods.size(); ++i) {
      auto& counted = *operators.emplace_back(std::make_unique<CountedOperator<T>>(dense_, bytes_, rates_));
      contenders.push_back({[&, i] {
        counted.reset();
        results[i] =
            truncated_svd<T>(counted, {.rank = rank}, {.method = method_of(methods[i]), .seed = options_.seed});
      }});
    }
    alternate(contenders, {.repeats = options_.repeats});
    std::vector<Outcome> outcomes;
    for (std::size_t i = 0; i < methods.size(); ++i)
      outcomes.push_back(outcome(methods[i], rank, results[i], operators[i]->floor(), contenders[i].samples));
    return outcomes;
  }

  /// The exact SVD costs the same at every rank: it is run for the largest, and its leading triplets are measured.
  std::vector<Outcome> exact(const std::vector<Index>& ranks) const {
    Svd<T> result;
    const Index largest = *std::max_element(ranks.begin(), ranks.end());
    const Samples samples = samples_of(
        [&] {
          result = truncated_svd<T>(dense_, {.rank = largest}, {.method = SvdMethod::exact, .seed = options_.seed});
        },
        {.repeats = options_.repeats, .budget = 2});
    std::vector<Outcome> outcomes;
    for (const Index rank : ranks) outcomes.push_back(outcome("exact", rank, result, 0, samples));
    return outcomes;
  }

  Index smaller() const { return std::min(matrix_.A.rows(), matrix_.A.cols()); }

 private:
  Outcome outcome(const std::string& asked, Index rank, const Svd<T>& svd, double counted,
                  const Samples& samples) const {
    const Index k = std::min(rank, svd.rank());
    const double error =
        measured_error<T>(matrix_.A.view(), svd.U.left_cols(k), svd.S.data(), svd.V.left_cols(k), matrix_.norm);
    // What LAPACK does inside an exact SVD passes by the operator.
    const double lapack = svd.method == "exact" ? exact_flops(matrix_.A.rows(), matrix_.A.cols()) / rates_.flops : 0;
    return {family_,
            std::string(dtype_name<T>()),
            asked,
            matrix_.A.rows(),
            matrix_.A.cols(),
            rank,
            error,
            matrix_.optimum(rank),
            static_cast<double>(std::numeric_limits<T>::epsilon()),
            k == svd.rank() ? svd.certificate.relative_error : -1,
            k == svd.rank() ? svd.certificate.error_bound : -1,
            counted + lapack,
            svd.method,
            svd.products,
            svd.passes,
            svd.converged,
            samples};
  }

  const Options& options_;
  std::string family_;
  TestMatrix<T> matrix_;
  double bytes_;
  Rates rates_;
  DenseOperator<T> dense_;
};

template <Real T>
std::vector<Outcome> outcomes_of(const Options& options, const std::string& family, Index rows, Index cols,
                                 std::vector<Index> ranks, std::vector<std::string> methods) {
  const FamilyRuns<T> runs(options, family, rows, cols);
  std::erase_if(ranks, [&](Index rank) { return rank > runs.smaller(); });
  std::vector<Outcome> outcomes;
  if (ranks.empty()) return outcomes;
  if (std::erase(methods, "exact") > 0) outcomes = runs.exact(ranks);
  for (const Index rank : ranks)
    for (Outcome& each : runs.truncated(rank, methods)) outcomes.push_back(std::move(each));
  std::stable_sort(outcomes.begin(), outcomes.end(),
                   [](const Outcome& a, const Outcome& b) { return a.rank < b.rank; });
  return outcomes;
}

void add_to(Table& table, const Outcome& o) {
  const std::string method = o.asked == o.method ? o.asked : fmt::format("{}: {}", o.asked, o.method);
  table.add({o.family, std::to_string(o.rank), method, fmt::format("{:.3e}", o.error), fmt::format("{:.3e}", o.optimum),
             excess_text(o.error, o.optimum, o.eps), samples_text(o.samples), seconds_text(o.floor),
             fmt::format("{:.1f}", o.samples.median() / o.floor), std::to_string(o.products), std::to_string(o.passes),
             o.converged ? "yes" : "no"});
}

Json as_json(const Outcome& o) {
  Json json{{"family", o.family},      {"rows", o.rows},   {"cols", o.cols},         {"dtype", o.dtype},
            {"rank", o.rank},          {"asked", o.asked}, {"method", o.method},     {"error", o.error},
            {"optimum", o.optimum},    {"floor", o.floor}, {"products", o.products}, {"passes", o.passes},
            {"converged", o.converged}};
  json["seconds"] = as_json(o.samples);
  json["reported_error"] = o.reported_error >= 0 ? Json(o.reported_error) : Json(nullptr);
  json["error_bound"] = o.error_bound >= 0 ? Json(o.error_bound) : Json(nullptr);
  return json;
}

/// For each family: error over rank with the optimum, time over rank with the floor of what the last method did, and
/// error over time.
std::string plot_of(const std::vector<Outcome>& outcomes, const std::string& title) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<const Outcome*>> groups;
  for (const Outcome& o : outcomes) {
    const std::string group = o.family + ", " + o.dtype;
    if (groups[group].empty()) order.push_back(group);
    groups[group].push_back(&o);
  }
  std::vector<Chart> charts;
  for (const std::string& group : order) {
    Chart error{group, "rank", "relative error"}, time{group, "rank", "seconds"},
        both{group, "seconds", "relative error"};
    Series optimum{"optimum", true}, floor{"floor", true};
    std::map<std::string, std::array<Series, 3>> curves;
    for (const Outcome* o : groups[group]) {
      const double rank = static_cast<double>(o->rank), seconds = o->samples.median();
      const double place[3][2] = {{rank, o->error}, {rank, seconds}, {seconds, o->error}};
      for (std::size_t i = 0; i < 3; ++i) {
        // The exact SVD's time would press the others against the axis.
        if (i == 2 && o->asked == "exact") continue;
        curves[o->asked][i].label = o->asked;
        curves[o->asked][i].points.emplace_back(place[i][0], place[i][1]);
      }
      if (optimum.points.empty() || optimum.points.back().first != rank) optimum.points.emplace_back(rank, o->optimum);
      if (o->asked == groups[group].back()->asked) floor.points.emplace_back(rank, o->floor);
    }
    for (auto& [name, three] : curves) {
      error.series.push_back(three[0]);
      time.series.push_back(three[1]);
      if (!three[2].points.empty()) both.series.push_back(three[2]);
    }
    error.series.push_back(optimum);
    time.series.push_back(floor);
    for (Chart* chart : {&error, &time, &both}) charts.push_back(std::move(*chart));
  }
  return charts_svg(title, charts, 6);
}

}  // namespace

Json error_benchmark(const Options& options) {
  const Index rows = options.rows > 0 ? options.rows : 2000, cols = options.cols > 0 ? options.cols : 2000;
  const auto ranks = or_default<Index>(options.ranks, {5, 10, 20, 50});
  const auto methods = or_default<std::string>(options.methods, {"exact", "randomized", "krylov", "automatic"});
  const auto names = expand_families(or_default<std::string>(options.families, {"spectra"}));
  std::vector<Outcome> outcomes;
  for (const std::string& dtype : or_default<std::string>(options.dtypes, {"f64"}))
    for (const std::string& family : names) {
      for_dtype(dtype, [&]<class T>() {
        for (Outcome& each : outcomes_of<T>(options, family, rows, cols, ranks, methods))
          outcomes.push_back(std::move(each));
      });
      fmt::print(stderr, "  {} {}\n", family, dtype);
    }
  fmt::print("\nTruncated SVD, {} where the family has no size of its own. error, optimum: relative, Frobenius.\n\n",
             shape_text(rows, cols));
  Table table({"family", "rank", "method", "error", "optimum", "above it", "time (least - greatest)", "floor",
               "time/floor", "products", "passes", "converged"});
  Json json = Json::array();
  for (const Outcome& each : outcomes) {
    add_to(table, each);
    json.push_back(as_json(each));
  }
  table.print();
  if (!options.plot.empty())
    write_file(options.plot, plot_of(outcomes, fmt::format("Truncated SVD, {}", shape_text(rows, cols))));
  return json;
}

}  // namespace lowrank::bench
