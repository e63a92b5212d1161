// Lesson 3: train a network that is far too large, find the digit it is worst at, and adapt it to that digit by 0.24 %
// as many parameters, while the network itself stays as it is to the bit. The second half of the article that lowrank
// began with, on MNIST if its folder is given, or else on Fashion-MNIST.

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <lowrank/nn/evaluate.hpp>
#include <lowrank/nn/trainer.hpp>
#include <memory>

namespace {

using lowrank::Dataset, lowrank::Evaluation, lowrank::Index, lowrank::LoraAdapter, lowrank::Mlp;

/// A line with step, mean loss and speed, about ten times in a training.
auto show_progress(const char* what) {
  return [what](const lowrank::StepReport& at) {
    if (at.step % std::max<Index>(1, at.total_steps / 10) == 0) {
      fmt::print("{}: {}/{} steps, loss={:.3f}, {:.0f} steps/s\n", what, at.step, at.total_steps, at.running_loss,
                 at.steps_per_second);
      std::fflush(stdout);
    }
    return lowrank::Continue::yes;
  };
}

void print(const Evaluation& result) {
  fmt::print("Accuracy: {:.3f}\n", result.accuracy());
  for (std::size_t digit = 0; digit < result.wrong_by_class.size(); ++digit)
    fmt::print("wrong counts for the digit {}: {}\n", digit, result.wrong_by_class[digit]);
}

/// The layers' shapes, with those of their adapter where there is one.
void print_layers(const Mlp<float>& net, const LoraAdapter<float>* adapter) {
  for (Index i = 0; i < net.depth(); ++i) {
    const auto& layer = net.layers()[static_cast<std::size_t>(i)];
    fmt::print("Layer {}: W: [{}, {}] + B: [{}]", i + 1, layer.out(), layer.in(), layer.out());
    if (adapter != nullptr) {
      const auto& side = *adapter->of_layer(i);
      fmt::print(" + Lora_A: [{}, {}] + Lora_B: [{}, {}]", side.trained, side.A.cols(), side.B.rows(), side.trained);
    }
    fmt::print("\n");
  }
}

/// An adapter of rank 1 on all layers, trained on one digit alone for 100 batches. The base is const.
std::shared_ptr<const LoraAdapter<float>> adapt(const Mlp<float>& net, const Dataset& data, int digit) {
  lowrank::RandomSource random(lowrank::RandomKind::torch, 0);
  auto adapter = std::make_shared<LoraAdapter<float>>(net, lowrank::LoraOptions{.rank = 1, .alpha = 1}, random);
  lowrank::TrainOptions options{.batch = 10, .limit = 100};
  options.on_step = show_progress("LoRA");
  lowrank::train_adapter(net, *adapter, data.only({digit}), random, options);
  return adapter;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : lowrank::installed_dataset();
  const Dataset train_set = Dataset::load(folder, lowrank::DataSplit::train);
  const Dataset test_set = Dataset::load(folder, lowrank::DataSplit::test);

  // 1. An overly expensive network, trained for one epoch, with the weights and batches that PyTorch draws for seed 0.
  lowrank::RandomSource random(lowrank::RandomKind::torch, 0);
  auto net = std::make_shared<Mlp<float>>(std::vector<Index>{28 * 28, 1000, 2000, 10});
  lowrank::initialize(*net, random);
  lowrank::TrainOptions options{.batch = 10, .epochs = 1, .report_every = 50};
  options.on_step = show_progress("Epoch 1");
  lowrank::train(*net, train_set, random, options);
  const Evaluation before = lowrank::evaluate(*net, test_set);
  print(before);

  // 2. How many parameters it has.
  print_layers(*net, nullptr);
  fmt::print("Total number of parameters: {}\n", net->parameters());

  // 3. Adapters for its worst digit and for the one after it: A·x is one number a layer, B·A is never formed.
  const int worst = before.worst_class(), other = (worst + 1) % 10;
  const std::string original = net->digest();
  lowrank::AdaptedMlp<float> adapted(net);
  const auto first = adapt(*net, train_set, worst);
  adapted.add("worst", first);
  adapted.add("other", adapt(*net, train_set, other));
  print_layers(*net, first.get());
  const Index added = first->trainable_parameters(), total = net->parameters();
  fmt::print("Total number of parameters (original): {}\n", total);
  fmt::print("Total number of parameters (original + LoRA): {}\n", total + added);
  fmt::print("Parameters introduced by LoRA: {}\n", added);
  fmt::print("Parameters increment: {:.3f}%\n", 100.0 * static_cast<double>(added) / static_cast<double>(total));

  // 4. Nothing of the network has changed; with the adapters off it answers as it did.
  const bool unchanged = net->digest() == original;
  fmt::print("The original weights are {}\n", unchanged ? "unchanged to the bit" : "CHANGED");
  adapted.disable();
  const Evaluation off = lowrank::evaluate(adapted, test_set);
  fmt::print("LoRA disabled: {} wrong, as before: {}\n", off.wrong,
             off.wrong_by_class == before.wrong_by_class ? "yes" : "NO");

  // 5. The digit is recognized better now (and the others are not), and the adapters are switched without touching W.
  fmt::print("LoRA enabled, for the digit {}:\n", worst);
  adapted.enable("worst");
  const Evaluation on = lowrank::evaluate(adapted, test_set);
  print(on);
  adapted.enable("other");
  const Evaluation switched = lowrank::evaluate(adapted, test_set);
  for (const int digit : {worst, other}) {
    const auto d = static_cast<std::size_t>(digit);
    fmt::print("wrong counts for the digit {}: {} without adapter, {} with that for {}, {} with that for {}\n", digit,
               before.wrong_by_class[d], on.wrong_by_class[d], worst, switched.wrong_by_class[d], other);
  }
  return unchanged && off.wrong == before.wrong ? 0 : 1;
}
