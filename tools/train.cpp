#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/nn/checkpoint.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "report.hpp"
#include "training.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  std::optional<std::string> data, hidden, log, resume, output;
  std::optional<Index> epochs, batch, limit, checkpoint_every;
  std::optional<double> rate;
  std::string optimizer, random;  // empty: not given
  std::optional<std::uint64_t> seed;
};

void describe(Arguments& arguments, Request& request) {
  arguments.option("--data", "DIR", request.data, data_help);
  arguments.option("--hidden", "N,N...", request.hidden, "units of the hidden layers (default 1000,2000)");
  arguments.option("--epochs", "N", request.epochs, "how often each picture is seen (default 1)");
  arguments.option("--batch", "N", request.batch, "pictures a step (default 10)");
  arguments.choice("--optimizer", request.optimizer, {"adam", "sgd"}, "(default adam)");
  arguments.option("--lr", "RATE", request.rate, "the learning rate (default 1e-3)");
  arguments.option("--limit", "STEPS", request.limit, "end after so many steps");
  arguments.option("--seed", "S", request.seed, "of the random numbers (default 0)");
  arguments.choice("--rng", request.random, {"philox", "torch"},
                   "torch: the numbers that PyTorch draws (default philox)");
  arguments.option("--log", "LOSSES.csv", request.log, "write step,loss of the steps of this run");
  arguments.option("--resume", "CKPT", request.resume,
                   "go on from this checkpoint; network, batch, optimizer\nand random numbers are then its own");
  arguments.option(
      "--checkpoint-every", "STEPS", request.checkpoint_every,
      "a checkpoint after so many steps (default: after an\nepoch or 2000, but not below 100), and at the end");
  arguments.option("-o,--output", "OUT", request.output, "the .safetensors to write the network to");
}

void check(const Request& request) {
  if (!request.output) throw UsageError("-o is needed: a .safetensors to write the network to");
  check_network_ending("-o", *request.output);
  if (request.resume) check_network_ending("--resume", *request.resume);
  check_positive("--epochs", request.epochs);
  check_positive("--batch", request.batch);
  check_positive("--limit", request.limit);
  check_positive("--checkpoint-every", request.checkpoint_every);
  check_rate(request.rate);
}

/// What a checkpoint has and what was asked for must be the same: neither is dropped silently.
template <class Value>
void require_same(const Request& request, const char* option, bool given, const Value& wanted, const Value& has) {
  if (given && wanted != has)
    throw UsageError(fmt::format("{} {}: the training of {} has {}", option, wanted, *request.resume, has));
}

std::vector<Index> hidden_sizes(const Request& request) {
  return numbers("--hidden", request.hidden.value_or("1000,2000"), 1);
}

/// Batch, optimizer and random numbers of the checkpoint become the request's.
void take_over(Request& request, const TrainingState<float>& state) {
  const TrainingProgress& has = state.progress;
  if (request.hidden) {
    std::vector<Index> sizes;
    for (const Linear<float>& layer : state.parameters) sizes.push_back(layer.out());
    sizes.pop_back();
    require_same(request, "--hidden", true, sizes_text(hidden_sizes(request)), sizes_text(sizes));
  }
  const std::string rule = has.optimizer.rule == UpdateRule::adam ? "adam" : "sgd", random(name(has.random));
  require_same(request, "--batch", request.batch.has_value(), request.batch.value_or(0), has.batch);
  require_same(request, "--lr", request.rate.has_value(), request.rate.value_or(0), has.optimizer.lr);
  require_same(request, "--optimizer", !request.optimizer.empty(), request.optimizer, rule);
  require_same(request, "--rng", !request.random.empty(), request.random, random);
  require_same(request, "--seed", request.seed.has_value(), request.seed.value_or(0), has.seed);
  request.batch = has.batch;
  request.rate = has.optimizer.lr;
  request.optimizer = rule;
  request.random = random;
  request.seed = has.seed;
}

Index checkpoint_interval(const Request& request, const Dataset& data, Index batch) {
  const Index an_epoch = (data.size() + batch - 1) / batch;
  return request.checkpoint_every.value_or(std::clamp<Index>(an_epoch, 100, 2000));
}

TrainOptions train_options(const Request& request, const Dataset& data) {
  TrainOptions options;
  options.batch = request.batch.value_or(10);
  options.optimizer.rule = request.optimizer == "sgd" ? UpdateRule::sgd : UpdateRule::adam;
  options.optimizer.lr = request.rate.value_or(1e-3);
  options.epochs = request.epochs.value_or(1);
  options.limit = request.limit.value_or(0);
  options.report_every =
      report_interval(data.device(), data.device().training<float>().gains_by_waiting(options.batch));
  options.checkpoint = *request.output;
  options.checkpoint_every = checkpoint_interval(request, data, options.batch);
  return options;
}

/// The command that goes on with an interrupted training.
std::string resuming_command(const Request& request) {
  const std::string output = shell_word(*request.output);
  std::string text = fmt::format("lowrank train --resume {} -o {}", output, output);
  if (request.data) text += " --data " + shell_word(*request.data);
  if (request.epochs) text += fmt::format(" --epochs {}", *request.epochs);
  if (request.limit) text += fmt::format(" --limit {}", *request.limit);
  if (request.checkpoint_every) text += fmt::format(" --checkpoint-every {}", *request.checkpoint_every);
  return text;
}

/// The state beside the checkpoint that is to go on; the network alone does not say how far its training was.
TrainingState<float> state_of(const std::string& checkpoint) {
  const std::string path = state_path(checkpoint);
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    throw Error(fmt::format("{}: there is no such file; train writes it beside {}, and --resume goes on from it", path,
                            checkpoint));
  return load_state<float>(path);
}

[[noreturn]] void refuse_divergence(const Request& request, const TrainOptions& options, const TrainResult& result) {
  const Index first = result.steps - result.steps_here;
  const Index kept = (result.diverged_step - 1) / options.checkpoint_every * options.checkpoint_every;
  const std::string rest = kept > first
                               ? fmt::format("{} is the checkpoint of step {}", *request.output, kept)
                               : fmt::format("there was no checkpoint before it, and {} is as it was", *request.output);
  throw Error(fmt::format("{}; {}", divergence_text(result, options.optimizer.lr), rest));
}

std::string layer_table(const Mlp<float>& mlp) {
  std::vector<std::vector<std::string>> rows;
  for (const Linear<float>& layer : mlp.layers())
    rows.push_back(
        {layer.name, shape_text(layer.out(), layer.in()), std::to_string(layer.out()), grouped(layer.parameters())});
  rows.push_back({"in all", "", "", grouped(mlp.parameters())});
  return table({"layer", "weight", "bias", "parameters"}, rows);
}

std::string report(const CommandLine& command, const Request& request, const Mlp<float>& mlp,
                   const TrainResult& result) {
  if (command.json)
    return json_line({{"steps", result.steps},
                      {"mean_loss", result.mean_loss},
                      {"seconds", result.seconds},
                      {"steps_per_second", result.steps_per_second()},
                      {"last_loss", result.steps_here > 0 ? Json(result.last_loss) : Json(nullptr)},
                      {"sizes", mlp.sizes()},
                      {"parameters", mlp.parameters()},
                      {"device", command.device().name()}});
  auto lines = training_summary(result);
  lines.push_back({"written", fmt::format("{}; {} for --resume", *request.output, state_path(*request.output))});
  return fmt::format("{} with ReLU\n", sizes_text(mlp.sizes())) + layer_table(mlp) + fields(lines);
}

Mlp<float> fresh_network(const Request& request, const Dataset& data, RandomSource& random) {
  std::vector<Index> sizes = hidden_sizes(request);
  sizes.insert(sizes.begin(), data.features());
  sizes.push_back(data.classes());
  Mlp<float> mlp(sizes, data.device());
  initialize(mlp, random);
  return mlp;
}

TrainResult run(Request& request, const Dataset& data, Mlp<float>& mlp, TrainingMonitor& monitor) {
  TrainOptions options = train_options(request, data);
  options.on_step = monitor.callback();
  TrainResult result;
  if (request.resume) {
    result = resume(*request.resume, mlp, data, options);
  } else {
    RandomSource random(request.random == "torch" ? RandomKind::torch : RandomKind::philox, request.seed.value_or(0));
    mlp = fresh_network(request, data, random);
    result = train(mlp, data, random, options);
  }
  monitor.finish();
  if (result.outcome == TrainOutcome::diverged) refuse_divergence(request, options, result);
  return result;
}

}  // namespace

int train_command(int argc, char** argv) {
  Request request;
  CommandLine command(
      "train", "Trains a multilayer perceptron with ReLU on pictures, and writes it as torch loads it.",
      {{"lowrank train -o base.safetensors", "784-1000-2000-10, one epoch of Fashion-MNIST"},
       {"lowrank train --data mnist --epochs 5 --log losses.csv -o base.safetensors", "with the losses"},
       {"lowrank train --resume base.safetensors --epochs 9 -o base.safetensors", "goes on from there"}});
  describe(command.arguments, request);
  command.offer_device();
  if (!command.parse(argc, argv)) return done;
  check(request);
  static_cast<void>(hidden_sizes(request));
  std::vector<std::string> networks{*request.output, state_path(*request.output)};
  if (request.resume) networks.insert(networks.end(), {*request.resume, state_path(*request.resume)});
  check_log(request.log, networks);
  for (const std::string& path : {*request.output, state_path(*request.output)}) check_output(path);
  TrainingMonitor monitor(command, request.log);
  if (request.resume) take_over(request, state_of(*request.resume));
  const Dataset data = Dataset::load(data_folder(request.data), DataSplit::train, 10, command.device());
  Mlp<float> mlp({1, 1}, command.device());
  const TrainResult result = run(request, data, mlp, monitor);
  if (result.outcome == TrainOutcome::stopped) {
    command.note(fmt::format("interrupted; {} is the checkpoint of step {} of {}; to go on: {}", *request.output,
                             result.steps, monitor.total_steps(), resuming_command(request)));
    return 128 + SIGINT;  // Where the signal, held until here, does not end the process.
  }
  if (result.steps_here == 0)
    command.note(fmt::format("nothing was left to do: {} is after {} steps, and --epochs and --limit want no more",
                             *request.resume, result.steps));
  print(report(command, request, mlp, result));
  return done;
}

}  // namespace lowrank::tools
