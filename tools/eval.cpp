#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <lowrank/nn/checkpoint.hpp>
#include <lowrank/nn/evaluate.hpp>
#include <lowrank/nn/lora_file.hpp>

#include "commands.hpp"
#include "report.hpp"
#include "training.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  std::string model;
  std::optional<std::string> data;
  std::vector<std::string> adapters;
};

/// The network alone (`adapter` is empty), or under an adapter.
struct Named {
  std::string adapter;
  Evaluation evaluation;
};

/// One base, loaded once, under each adapter in turn.
std::vector<Named> evaluate_all(const CommandLine& command, const Request& request) {
  const auto base = std::make_shared<const Mlp<float>>(load_mlp<float>(request.model, command.device()));
  AdaptedMlp<float> mlp(base);
  for (const std::string& folder : request.adapters)
    mlp.add(folder, std::make_shared<const LoraAdapter<float>>(load_adapter<float>(folder, *base)));
  const std::string pictures = data_folder(request.data);
  const Dataset data = Dataset::load(pictures, DataSplit::test, classes_of(*base), command.device());
  check_fit(*base, request.model, data, pictures);
  ProgressBar bar(command.shows_progress());
  std::vector<Named> results{{"", evaluate(mlp, data, bar.callback())}};
  for (const std::string& folder : request.adapters) {
    mlp.enable(folder);
    results.push_back({folder, evaluate(mlp, data, bar.callback())});
  }
  return results;
}

Json as_json(const Evaluation& evaluation) {
  return {{"accuracy", evaluation.accuracy()},
          {"wrong", evaluation.wrong},
          {"total", evaluation.total},
          {"seconds", evaluation.seconds},
          {"wrong_by_class", evaluation.wrong_by_class},
          {"total_by_class", evaluation.total_by_class}};
}

/// At the top what was asked for: the first adapter's figures, or the network's. All in `evaluations`.
std::string json_text(const CommandLine& command, const std::vector<Named>& results) {
  Json json = as_json(results[results.size() > 1 ? 1 : 0].evaluation);
  json["device"] = command.device().name();
  json["evaluations"] = Json::array();
  for (const Named& each : results) {
    Json entry{{"adapter", each.adapter.empty() ? Json(nullptr) : Json(each.adapter)}};
    entry.update(as_json(each.evaluation));
    json["evaluations"].push_back(entry);
  }
  return json_line(json);
}

std::string as_text(const std::vector<Named>& results) {
  std::vector<std::string> titles{"class", "samples"};
  for (const Named& each : results)
    titles.push_back(each.adapter.empty() ? (results.size() > 1 ? "wrong, no adapter" : "wrong")
                                          : "wrong, " + each.adapter);
  const Evaluation& first = results.front().evaluation;
  std::vector<std::vector<std::string>> rows;
  for (std::size_t c = 0; c < first.total_by_class.size(); ++c) {
    rows.push_back({std::to_string(c), std::to_string(first.total_by_class[c])});
    for (const Named& each : results) rows.back().push_back(std::to_string(each.evaluation.wrong_by_class[c]));
  }
  rows.push_back({"all", std::to_string(first.total)});
  for (const Named& each : results) rows.back().push_back(std::to_string(each.evaluation.wrong));
  rows.push_back({"accuracy", ""});
  for (const Named& each : results) rows.back().push_back(fmt::format("{:.4f}", each.evaluation.accuracy()));
  double seconds = 0;
  for (const Named& each : results) seconds += each.evaluation.seconds;
  return table(titles, rows) + fields({{"time", seconds_text(seconds)}});
}

}  // namespace

int eval_command(int argc, char** argv) {
  Request request;
  CommandLine command(
      "eval",
      "The accuracy of a network on the test pictures, and how many of each class it gets wrong; with\n"
      "adapters, for the network alone and under each of them.",
      {{"lowrank eval base.safetensors", "on Fashion-MNIST"},
       {"lowrank eval base.safetensors --data mnist --adapter nines", "without the adapter and with it"},
       {"lowrank eval base.safetensors --adapter a --adapter b --json", "both, over one base"}});
  command.arguments.positional("MODEL", request.model, "the network, a .safetensors");
  command.arguments.option("--data", "DIR", request.data, data_help);
  command.arguments.repeatable("--adapter", "DIR", request.adapters, "a PEFT adapter folder; may be repeated");
  command.offer_device();
  if (!command.parse(argc, argv)) return done;
  for (auto at = request.adapters.begin(); at != request.adapters.end(); ++at)
    if (std::find(request.adapters.begin(), at, *at) != at)
      throw UsageError(fmt::format("--adapter {} is given twice", *at));
  const std::vector<Named> results = evaluate_all(command, request);
  print(command.json ? json_text(command, results) : as_text(results));
  return done;
}

}  // namespace lowrank::tools
