#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/nn/checkpoint.hpp>
#include <lowrank/nn/lora_file.hpp>
#include <lowrank/nn/storage.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "report.hpp"
#include "training.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  std::string model, init = "gaussian", random = "philox";
  std::optional<std::string> data, classes, layers, log, output;
  std::optional<Index> rank, steps, batch;
  std::optional<double> alpha, rate;
  std::uint64_t seed = 0;
};

void describe(Arguments& arguments, Request& request) {
  arguments.positional("MODEL", request.model, "the network, a .safetensors; it is only read");
  arguments.option("--data", "DIR", request.data, data_help);
  arguments.option("--classes", "C,C...", request.classes, "train on the pictures of these classes (default: all)");
  arguments.option("--rank", "R", request.rank, "columns of B, rows of A (default 1)");
  arguments.option("--alpha", "ALPHA", request.alpha, "W + ALPHA/R·B·A (default 1)");
  arguments.choice("--init", request.init, {"gaussian", "kaiming", "pissa"},
                   "A normal or uniform and B zero, or B·A the leading\ntriplets of W (default gaussian)");
  arguments.option("--layers", "all|L,L...", request.layers, "names of the layers to adapt (default all)");
  arguments.option("--steps", "N", request.steps, "(default 100)");
  arguments.option("--batch", "N", request.batch, "pictures a step (default 10)");
  arguments.option("--lr", "RATE", request.rate, "Adam's learning rate (default 1e-3)");
  arguments.option("--seed", "S", request.seed, "of the random numbers (default 0)");
  arguments.choice("--rng", request.random, {"philox", "torch"},
                   "torch: the numbers that PyTorch draws (default philox)");
  arguments.option("--log", "LOSSES.csv", request.log, "write step,loss");
  arguments.option("-o,--output", "DIR", request.output, "the folder to write the adapter to, as PEFT has it");
}

/// Throws Error unless a folder of that name can be written or made; for a check before long work.
void check_output_folder(const std::string& folder) {
  std::filesystem::path place = std::filesystem::absolute(folder);
  std::error_code error;
  while (!std::filesystem::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  if (!std::filesystem::is_directory(place, error))
    throw Error(fmt::format("{}: {} is not a folder", folder, place.string()));
  if (access(place.c_str(), W_OK) != 0)
    throw Error(fmt::format("{}: nothing can be written to {}", folder, place.string()));
}

void check(const Request& request) {
  if (!request.output) throw UsageError("-o is needed: the folder to write the adapter to");
  check_positive("--rank", request.rank);
  check_positive("--steps", request.steps);
  check_positive("--batch", request.batch);
  check_rate(request.rate);
  if (request.alpha == 0.0) throw UsageError("--alpha 0: such an adapter does nothing");
}

Dataset training_data(const Request& request, const Mlp<float>& base) {
  const std::string folder = data_folder(request.data);
  const Dataset all = Dataset::load(folder, DataSplit::train, classes_of(base), base.device());
  check_fit(base, request.model, all, folder);
  if (!request.classes) return all;
  std::vector<int> classes;
  for (const Index c : numbers("--classes", *request.classes, 0)) {
    if (c >= base.outputs())
      throw UsageError(fmt::format("--classes {}: the network has the classes 0 to {}", c, base.outputs() - 1));
    classes.push_back(static_cast<int>(c));
  }
  try {
    return all.only(classes);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", folder, error.what()));
  }
}

LoraOptions lora_options(const Request& request) {
  LoraOptions options{
      .rank = request.rank.value_or(1), .alpha = request.alpha.value_or(1), .init = lora_init(request.init)};
  if (request.layers.value_or("all") != "all") options.layers = words("--layers", *request.layers);
  options.seed = request.seed;
  return options;
}

TrainOptions train_options(const Request& request, const Dataset& data) {
  TrainOptions options;
  options.batch = request.batch.value_or(10);
  options.optimizer.lr = request.rate.value_or(1e-3);
  options.report_every = report_interval(data.device(), false);
  options.limit = request.steps.value_or(100);
  const Index an_epoch = (data.size() + options.batch - 1) / options.batch;
  options.epochs = (options.limit - 1) / an_epoch + 1;
  return options;
}

bool same_bits(const Matrix<float>& a, const Matrix<float>& b) {
  const Matrix<float> x = to_host<float>(a), y = to_host<float>(b);
  return x.rows() == y.rows() && x.cols() == y.cols() &&
         std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.size()) * sizeof(float)) == 0;
}

/// Every parameter of `base`, in memory, against a copy of before.
bool same_bits(const Mlp<float>& base, const Mlp<float>& before) {
  return std::equal(base.layers().begin(), base.layers().end(), before.layers().begin(), before.layers().end(),
                    [](const Linear<float>& a, const Linear<float>& b) {
                      return same_bits(a.weight, b.weight) && same_bits(a.bias, b.bias);
                    });
}

std::string parameter_table(const Mlp<float>& base, const LoraAdapter<float>& adapter) {
  std::vector<std::vector<std::string>> rows;
  for (Index i = 0; i < base.depth(); ++i) {
    const Linear<float>& layer = base.layers()[static_cast<std::size_t>(i)];
    const LoraLayer<float>* side = adapter.of_layer(i);
    rows.push_back({layer.name, shape_text(layer.out(), layer.in()), std::to_string(layer.out()),
                    grouped(layer.parameters()), side ? shape_text(side->trained, layer.in()) : "-",
                    side ? shape_text(layer.out(), side->trained) : "-",
                    side ? grouped(side->trainable_parameters()) : "0"});
  }
  rows.push_back({"in all", "", "", grouped(base.parameters()), "", "", grouped(adapter.trainable_parameters())});
  return table({"layer", "W", "bias", "parameters", "A", "B", "LoRA"}, rows);
}

std::string report(const CommandLine& command, const Request& request, const Mlp<float>& base,
                   const LoraAdapter<float>& adapter, const TrainResult& result, bool unchanged) {
  const Index trained = adapter.trainable_parameters(), total = base.parameters();
  if (command.json)
    return json_line({{"steps", result.steps},
                      {"mean_loss", result.mean_loss},
                      {"seconds", result.seconds},
                      {"steps_per_second", result.steps_per_second()},
                      {"trainable_parameters", trained},
                      {"total_parameters", total},
                      {"base_unchanged", unchanged},
                      {"last_loss", result.last_loss},
                      {"device", command.device().name()}});
  auto lines = training_summary(result);
  lines.insert(lines.begin(), {"LoRA", fmt::format("{} of {} parameters: {:.3f} %", grouped(trained), grouped(total),
                                                   100 * static_cast<double>(trained) / static_cast<double>(total))});
  lines.push_back(
      {"base", unchanged ? "unchanged to the bit: all parameters compared with those of before" : "CHANGED"});
  lines.push_back({"written", *request.output});
  return parameter_table(base, adapter) + fields(lines);
}

int lora_train(int argc, char** argv) {
  Request request;
  CommandLine command(
      "lora train", "Trains a low-rank adapter for a network, which stays as it is.",
      {{"lowrank lora train base.safetensors --classes 9 -o nines", "rank 1, 100 steps on the nines alone"},
       {"lowrank lora train base.safetensors --rank 8 --alpha 16 --init pissa --steps 1000 -o better",
        "starts from the 8 leading triplets of each weight"}});
  describe(command.arguments, request);
  command.offer_device();
  if (!command.parse(argc, argv)) return done;
  check(request);
  const LoraOptions wanted = lora_options(request);
  check_output_folder(*request.output);
  const std::filesystem::path folder(*request.output);
  check_log(request.log, {request.model, folder.string(), (folder / "adapter_model.safetensors").string(),
                          (folder / "adapter_config.json").string()});
  TrainingMonitor monitor(command, request.log);
  const Mlp<float> base = load_mlp<float>(request.model, command.device()), before = base.clone();
  const Dataset data = training_data(request, base);
  RandomSource random(random_kind(request.random), request.seed);
  LoraAdapter<float> adapter(base, wanted, random);
  TrainOptions options = train_options(request, data);
  options.on_step = monitor.callback();
  const TrainResult result = train_adapter(base, adapter, data, random, options);
  monitor.finish();
  if (result.outcome == TrainOutcome::diverged)
    throw Error(fmt::format("{}; {} is as it was", divergence_text(result, options.optimizer.lr), *request.output));
  save_adapter(*request.output, adapter, request.model);
  if (result.outcome == TrainOutcome::stopped) {
    command.note(fmt::format("interrupted; {} is the adapter after step {} of {}", *request.output, result.steps,
                             monitor.total_steps()));
    return 128 + SIGINT;  // Where the signal, held until here, does not end the process.
  }
  const bool unchanged = same_bits(base, before);
  print(report(command, request, base, adapter, result, unchanged));
  return unchanged ? done : check_failed;
}

int lora_merge(int argc, char** argv) {
  std::string model, folder;
  std::optional<std::string> output;
  CommandLine command("lora merge", "Adds an adapter to the weights of its network: W + s·B·A.",
                      {{"lowrank lora merge base.safetensors nines -o merged.safetensors", "one plain network"}});
  command.arguments.positional("MODEL", model, "the network, a .safetensors");
  command.arguments.positional("ADAPTER", folder, "the adapter's folder");
  command.arguments.option("-o,--output", "OUT", output, "the .safetensors to write the merged network to");
  command.offer_device();
  if (!command.parse(argc, argv)) return done;
  if (!output) throw UsageError("-o is needed: a .safetensors to write the merged network to");
  check_network_ending("-o", *output);
  check_output(*output);
  Mlp<float> mlp = load_mlp<float>(model, command.device());
  const LoraAdapter<float> adapter = load_adapter<float>(folder, mlp);
  const SafetensorsFile file = SafetensorsFile::open(model);
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.dtype == "F32") continue;
    command.note(fmt::format("{} holds {}, and the merged network F32", model, tensor.dtype));
    break;
  }
  merge(mlp, adapter);
  save_mlp(*output, mlp);
  const std::size_t layers = adapter.layers().size();
  print(command.json ? json_line({{"layers", layers},
                                  {"rank", adapter.rank()},
                                  {"scale", adapter.scale()},
                                  {"output", *output},
                                  {"device", command.device().name()}})
                     : fmt::format("{} + {} (rank {}, scale {}, {} layers) -> {}\n", model, folder, adapter.rank(),
                                   number(adapter.scale()), layers, *output));
  return done;
}

Json as_json(const AdapterInfo& info) {
  Json layers = Json::array();
  for (const AdapterInfo::Layer& each : info.layers)
    layers.push_back(
        {{"name", each.name}, {"in", each.in}, {"out", each.out}, {"rank", each.rank}, {"alpha", each.alpha}});
  const auto known = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  return {{"rank", info.rank},
          {"alpha", info.alpha},
          {"scaling", info.scaling == LoraScaling::standard ? "alpha/r" : "alpha/sqrt(r)"},
          {"parameters", info.parameters()},
          {"layers", layers},
          {"base", known(info.base_path)},
          {"base_digest", known(info.base_digest)}};
}

std::string as_text(const AdapterInfo& info) {
  std::vector<std::vector<std::string>> rows;
  for (const AdapterInfo::Layer& each : info.layers)
    rows.push_back({each.name, shape_text(each.out, each.in), std::to_string(each.rank), number(each.alpha),
                    grouped(each.rank * (each.in + each.out))});
  rows.push_back({"in all", "", "", "", grouped(info.parameters())});
  return table({"layer", "W", "rank", "alpha", "parameters"}, rows) +
         fields({{"scaling", info.scaling == LoraScaling::standard ? "alpha/r" : "alpha/√r"},
                 {"base", info.base_path.empty() ? "not named" : info.base_path}});
}

int lora_info(int argc, char** argv) {
  std::string folder;
  CommandLine command("lora info", "What an adapter's folder holds.",
                      {{"lowrank lora info nines", "layers, ranks, sizes"}});
  command.arguments.positional("ADAPTER", folder, "the adapter's folder");
  if (!command.parse(argc, argv)) return done;
  const AdapterInfo info = adapter_info(folder);
  print(command.json ? json_line(as_json(info)) : as_text(info));
  return done;
}

constexpr const char* help =
    "Low-rank adapters for a network: W + s·B·A.\n\nUsage: lowrank lora SUBCOMMAND ...\n\nSubcommands:\n"
    "  train     train an adapter; the network stays as it is\n"
    "  merge     add an adapter to the network's weights\n"
    "  info      what an adapter's folder holds\n\n"
    "Each has a help with examples: lowrank lora train --help.\n";

}  // namespace

int lora_command(int argc, char** argv) {
  const std::string_view which = argc > 1 ? argv[1] : "";
  if (which == "train") return lora_train(argc - 1, argv + 1);
  if (which == "merge") return lora_merge(argc - 1, argv + 1);
  if (which == "info") return lora_info(argc - 1, argv + 1);
  if (which == "--help" || which == "-h") {
    print(help);
    return done;
  }
  throw UsageError(which.empty()
                       ? std::string("train, merge or info is missing (see lowrank lora --help)")
                       : fmt::format("there is no 'lora {}': train, merge or info (see lowrank lora --help)", which));
}

}  // namespace lowrank::tools
