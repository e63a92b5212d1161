#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/svd/rank.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "progress_bar.hpp"
#include "report.hpp"

namespace lowrank::tools {
namespace {

constexpr double energies[] = {0.9, 0.95, 0.99, 0.999};

struct Request {
  std::string file, method = "auto";
  std::optional<double> tol, rtol;
  std::uint64_t seed = 0;
  Index memory = default_memory;
  bool values = false;
};

void describe(CommandLine& command, Request& request) {
  Arguments& arguments = command.arguments;
  arguments.positional("FILE", request.file, "the matrix");
  arguments.option("--tol", "T", request.tol, "count the singular values above T");
  arguments.option("--rtol", "R", request.rtol,
                   "count those above R times the largest\n(default, as NumPy: max(m, n) * eps * the largest)");
  arguments.choice("--method", request.method, {"auto", "svd", "qr", "randomized"},
                   "auto takes the fastest that is sure");
  arguments.option("--seed", "S", request.seed, "seed of the random numbers (default 0)");
  arguments.size("--memory", request.memory, memory_help);
  arguments.flag("--values", request.values, "with --json: the singular values too, where all are known");
}

void check(const Request& request) {
  if (request.tol && request.rtol) throw UsageError("--tol and --rtol exclude each other: give one");
  if (request.tol && !(*request.tol > 0))
    throw UsageError(fmt::format("--tol {}: a positive number is wanted", *request.tol));
  if (request.rtol && !(*request.rtol > 0))
    throw UsageError(fmt::format("--rtol {}: a positive number is wanted", *request.rtol));
}

RankMethod method_of(const std::string& name) {
  if (name == "svd") return RankMethod::svd;
  if (name == "qr") return RankMethod::qr;
  return name == "randomized" ? RankMethod::randomized : RankMethod::automatic;
}

RankResult compute(const CommandLine& command, const Request& request, const Input& input) {
  ProgressBar bar(command.shows_progress());
  const RankOptions options{.tol = request.tol.value_or(-1),
                            .rtol = request.rtol.value_or(-1),
                            .method = method_of(request.method),
                            .seed = request.seed,
                            .device = &command.device(),
                            .progress = bar.callback()};
  RankResult result = std::visit(
      [&](const auto& A) { return guarded(input.path(), *A, [&] { return matrix_rank(*A, options); }); }, input.op);
  if (input.in_blocks) result.reason += "; read from the file block by block";
  return result;
}

/// Whether the method bounded σ_r from below and σ_{r+1} from above instead of finding them.
bool is_least(const RankResult& result) {
  return result.method == "qr" && result.rank < std::min(result.rows, result.cols);
}
bool is_most(const RankResult& result) { return result.method != "svd" && result.sigma_next > 0; }

Json as_json(const RankResult& result, const Input& input, const Request& request, const std::string& device) {
  Json json{{"rank", result.rank},
            {"tolerance", result.tolerance},
            {"convention", result.convention},
            {"method", result.method},
            {"certified", result.certified},
            {"shape", {input.rows, input.cols}},
            {"dtype", input.dtype()},
            {"sigma_max", result.sigma_max},
            {"sigma_rank", result.sigma_rank},
            {"sigma_next", result.sigma_next},
            {"bounds", Json::array()},
            {"stable_rank", result.stable_rank},
            {"seconds", result.seconds},
            {"device", device},
            {"reason", result.reason},
            {"frobenius_norm", result.frobenius_norm}};
  if (is_least(result)) json["bounds"].push_back("sigma_rank");
  if (is_most(result)) json["bounds"].push_back("sigma_next");
  json["effective_rank"] = nullptr;
  json["energy_ranks"] = nullptr;
  if (result.singular_values.empty()) return json;
  json["effective_rank"] = effective_rank(result.singular_values);
  json["energy_ranks"] = Json::object();
  for (const double energy : energies)
    json["energy_ranks"][number(energy)] = rank_at_energy(result.singular_values, result.frobenius_norm, energy);
  if (request.values) json["singular_values"] = result.singular_values;
  return json;
}

std::string as_text(const RankResult& result, const Input& input) {
  std::string text = fmt::format("rank {} of {} ({}): {} by {}\n", result.rank, shape_text(input.rows, input.cols),
                                 input.dtype(), result.certified ? "certified" : "decided", result.method);
  std::vector<std::pair<std::string, std::string>> lines{
      {"tolerance", fmt::format("{} ({})", number(result.tolerance), result.convention)},
      {"sigma_max", number(result.sigma_max)},
      {"sigma_rank", fmt::format("{}{} (the smallest above the tolerance)", number(result.sigma_rank),
                                 is_least(result) ? " at least" : "")},
      {"sigma_next", fmt::format("{}{}", number(result.sigma_next), is_most(result) ? " at most" : "")}};
  if (result.rank > 0 && result.sigma_next > 0)
    lines.push_back({"gap", fmt::format("{}{}", number(result.sigma_rank / result.sigma_next, 3),
                                        is_most(result) ? " at least" : "")});
  lines.push_back({"stable rank", number(result.stable_rank, 4)});
  if (!result.singular_values.empty()) {
    lines.push_back({"effective rank", number(effective_rank(result.singular_values), 4)});
    std::string ranks;
    for (const double energy : energies)
      ranks += fmt::format("{}{} at {}", ranks.empty() ? "" : ", ",
                           rank_at_energy(result.singular_values, result.frobenius_norm, energy), percent(energy));
    lines.push_back({"rank by energy", ranks});
  }
  lines.push_back({"reason", result.reason});
  lines.push_back({"time", seconds_text(result.seconds)});
  return text + fields(lines);
}

}  // namespace

int rank_command(int argc, char** argv) {
  Request request;
  CommandLine command("rank", "The numerical rank of a matrix: how many singular values lie above a tolerance.",
                      {{"lowrank rank W.npy", "by NumPy's rule, with the proof or the method that decided"},
                       {"lowrank rank W.npy --rtol 1e-3 --json", "singular values above a thousandth of the largest"},
                       {"lowrank rank model.safetensors:layer.weight --method svd", "one tensor, by the full SVD"}});
  describe(command, request);
  command.offer_device();
  if (!command.parse(argc, argv)) return done;
  check(request);
  const Input input = open_input(command, request.file, request.memory);
  const RankResult result = compute(command, request, input);
  print(command.json ? json_line(as_json(result, input, request, command.device().name())) : as_text(result, input));
  return done;
}

}  // namespace lowrank::tools
