#include <fstream>
#include <nlohmann/json.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

const nlohmann::json& torch_run() {
  static const nlohmann::json data = nlohmann::json::parse(std::ifstream(TEST_DATA_FOLDER "/torch_training.json"));
  return data;
}

double relative(double value, double expected) { return std::abs(value - expected) / std::abs(expected); }

}  // namespace

TEST_CASE("initial weights are torch's to the bit") {
  RandomSource random(RandomKind::torch, 0);
  Mlp<float> mlp({784, 1000, 2000, 10});
  initialize(mlp, random);
  for (const Linear<float>& layer : mlp.layers())
    for (const auto& [ending, tensor] : {std::pair(".weight", &layer.weight), {".bias", &layer.bias}}) {
      const auto& expected = torch_run()["init"][layer.name + ending];
      CAPTURE(layer.name);
      for (std::size_t i = 0; i < 4; ++i)
        CHECK((*tensor)(tensor->cols() == 1 ? static_cast<Index>(i) : 0,
                        tensor->cols() == 1 ? 0 : static_cast<Index>(i)) == expected["first"][i].get<float>());
      CHECK((*tensor)(tensor->rows() - 1, tensor->cols() - 1) == expected["last"][1].get<float>());
      double sum = 0, squares = 0;
      for (Index i = 0; i < tensor->rows(); ++i)
        for (Index j = 0; j < tensor->cols(); ++j) {
          sum += (*tensor)(i, j);
          squares += static_cast<double>((*tensor)(i, j)) * (*tensor)(i, j);
        }
      CHECK(sum == doctest::Approx(expected["sum"].get<double>()).epsilon(1e-12));
      CHECK(squares == doctest::Approx(expected["sumsq"].get<double>()).epsilon(1e-12));
    }
  const std::vector<Index> order = random.epoch_order(60000);
  for (std::size_t i = 0; i < 30; ++i) CHECK(order[i] == torch_run()["first_batches"][i / 10][i % 10].get<Index>());
}

TEST_CASE("training follows torch's losses, and LoRA on top of it too") {
  if (!has_mnist()) SKIP("MNIST is not in ../shared/data/mnist");
  const Dataset data = Dataset::load(mnist(), DataSplit::train);
  RandomSource random(RandomKind::torch, 0);
  Mlp<float> mlp({784, 1000, 2000, 10});
  initialize(mlp, random);
  Losses losses;
  train(mlp, data, random, {.limit = 50, .on_step = losses.record()});
  REQUIRE(losses.values.size() == 50);
  for (std::size_t i = 0; i < 50; ++i) {
    CAPTURE(i);
    CHECK(relative(losses.values[i], torch_run()["losses"][i]) < (i < 20 ? 1e-5 : 1e-3));
  }

  RandomSource again(RandomKind::torch, 0), for_adapter(RandomKind::torch, 0);
  initialize(mlp, again);
  train(mlp, data, again, {.limit = 20});
  const std::string digest = mlp.digest();
  LoraAdapter<float> adapter(mlp, {}, for_adapter);
  CHECK(adapter.trainable_parameters() == 6794);
  CHECK(mlp.parameters() == 2807010);
  Losses adapted;
  train_adapter(mlp, adapter, data.only({9}), for_adapter, {.limit = 10, .on_step = adapted.record()});
  for (std::size_t i = 0; i < 10; ++i) {
    CAPTURE(i);
    CHECK(relative(adapted.values[i], torch_run()["lora"]["losses"][i]) < 1e-4);
  }
  CHECK(mlp.digest() == digest);
}

TEST_CASE("one epoch on MNIST, and LoRA on its worst digit [speed]") {
  if (!has_mnist()) SKIP("MNIST is not in ../shared/data/mnist");
  const Dataset data = Dataset::load(mnist(), DataSplit::train), test = Dataset::load(mnist(), DataSplit::test);
  for (const std::uint64_t seed : {0, 1, 2}) {
    RandomSource random(RandomKind::torch, seed);
    Mlp<float> mlp({784, 1000, 2000, 10});
    initialize(mlp, random);
    const TrainResult result = train(mlp, data, random, {});
    const Evaluation before = evaluate(mlp, test);
    const int worst = before.worst_class();
    RandomSource other(RandomKind::torch, seed);
    LoraAdapter<float> adapter(mlp, {}, other);
    train_adapter(mlp, adapter, data.only({worst}), other, {.limit = 100});
    const Evaluation after = evaluate<float>(mlp, test, &adapter);
    const auto c = static_cast<std::size_t>(worst);
    MESSAGE("seed " << seed << ": " << result.steps_per_second() << " steps/s, accuracy " << before.accuracy()
                    << ", wrong " << worst << ": " << before.wrong_by_class[c] << ", with LoRA "
                    << after.wrong_by_class[c] << " at " << after.accuracy());
    CHECK(result.steps == 6000);
    CHECK(before.accuracy() > 0.94);
    CHECK(before.accuracy() < 0.97);
    CHECK(2 * after.wrong_by_class[c] < before.wrong_by_class[c]);
  }
}
