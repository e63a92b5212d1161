#include <lowrank/cpu/host_training.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

std::vector<double> losses_of(Index batch, int thread_count, Index report_every = 1) {
  const Threads threads(thread_count);
  RandomSource random(RandomKind::philox, 2);
  Mlp<float> mlp({25, 200, 150, 4}, check::device());
  initialize(mlp, random);
  Losses losses;
  train(mlp, dataset(), random,
        {.batch = batch, .epochs = 2, .on_step = losses.record(), .report_every = report_every});
  return losses.values;
}

}  // namespace

TEST_CASE("training learns, and reports each step in order") {
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 2);
  Mlp<float> mlp({25, 40, 4}, check::device());
  initialize(mlp, random);
  Index expected = 0;
  double sum = 0;
  const TrainResult result = train(mlp, data, random, {.epochs = 4, .on_step = [&](const StepReport& report) {
                                                         CHECK(report.step == ++expected);
                                                         CHECK(report.total_steps == 84);
                                                         sum += report.loss;
                                                         return Continue::yes;
                                                       }});
  CHECK(result.outcome == TrainOutcome::finished);
  CHECK(result.steps == 84);  // 21 a epoch: the last batch has 5
  CHECK(result.mean_loss == doctest::Approx(sum / 84).epsilon(1e-14));
  CHECK(result.steps_per_second() > 0);
  const Evaluation evaluation = evaluate(mlp, data);
  CHECK(evaluation.accuracy() > 0.95);
  CHECK(evaluation.total == 205);
  CHECK(evaluation.total_by_class == std::vector<Index>{52, 51, 51, 51});
}

TEST_CASE("the same seed gives the same losses to the bit, whatever the threads") {
  const std::vector<double> small = losses_of(10, 1);
  CHECK(losses_of(10, 2) == small);
  CHECK(losses_of(10, 5) == small);
  CHECK(losses_of(10, 2, 7) == small);  // losses read in blocks
  const std::vector<double> large = losses_of(150, 1);
  CHECK(losses_of(150, 2) == large);
  CHECK(losses_of(150, 3) == large);
}

TEST_CASE("steps that are handed to the device as a recording make the same losses to the bit") {
  const Dataset data = dataset(1305);  // 130 full batches an epoch and one of 5
  for (const Index report_every : {1, 60, 131, 1000}) {
    std::vector<std::vector<double>> all;
    for (const Index every : {Index{1}, report_every}) {
      RandomSource random(RandomKind::philox, 2);
      Mlp<float> mlp = network({25, 30, 4});
      Losses losses;
      const TrainResult result =
          train(mlp, data, random, {.epochs = 2, .on_step = losses.record(), .report_every = every});
      CHECK(result.steps == 262);
      all.push_back(losses.values);
      LoraAdapter<float> adapter(mlp, {.rank = 2}, random);
      Losses of_adapter;
      train_adapter(mlp, adapter, data, random, {.on_step = of_adapter.record(), .report_every = every});
      all.back().insert(all.back().end(), of_adapter.values.begin(), of_adapter.values.end());
    }
    CAPTURE(report_every);
    CHECK(all[0].size() == 262 + 131);
    CHECK(all[0] == all[1]);
  }
}

TEST_CASE("small and large batches go different ways to the same numbers") {
  const Index few = HostTraining<double>::small_forward, many = few + 1;
  const TrainingPrimitives<double>& device = host_device().training<double>();
  const Matrix<double> X = samples<double>(many, 30), W = samples<double>(20, 30, 8), b = samples<double>(20, 1, 9);
  Matrix<double> by_kernels(few, 20, Order::row_major), by_blas(many, 20, Order::row_major);
  device.linear_forward(1, X.view().middle_rows(0, few), W, b, {}, {}, Activation::relu, by_kernels);
  device.linear_forward(1, X, W, b, {}, {}, Activation::relu, by_blas);
  CHECK(largest_difference<double>(by_kernels, by_blas.view().middle_rows(0, few)) < 1e-13);
}

TEST_CASE("evaluation counts wrong samples by class; a NaN is wrong") {
  Mlp<float> mlp({25, 4}, check::device());
  fill<float>(mlp.layers()[0].weight, 0);
  fill<float>(mlp.layers()[0].bias, 0);
  const Dataset data = dataset();
  CHECK(evaluate(mlp, data).wrong_by_class == std::vector<Index>{0, 51, 51, 51});  // the first of equals
  check::set_entry<float>(mlp.layers()[0].bias, 2, 0, 1);
  const Evaluation third = evaluate(mlp, data);
  CHECK(third.wrong_by_class == std::vector<Index>{52, 51, 0, 51});
  CHECK(third.worst_class() == 0);
  CHECK(third.wrong == 154);
  check::set_entry<float>(mlp.layers()[0].bias, 3, 0, std::numeric_limits<float>::quiet_NaN());
  CHECK(evaluate(mlp, data).wrong == 205);
}

TEST_CASE("impossible trainings are refused with the values in the message") {
  const Dataset data = dataset();
  Mlp<float> mlp = network({25, 33, 4});
  const std::string digest = mlp.digest();
  const auto refused = [&](const TrainOptions& options) {
    RandomSource random(RandomKind::philox, 1);
    return message<std::invalid_argument>([&] { train(mlp, data, random, options); });
  };
  CHECK(has(refused({.batch = 0}), "batch of 0"));
  CHECK(has(refused({.epochs = 0}), "0 epochs"));
  CHECK(has(refused({.limit = -1}), "limit of -1"));
  CHECK(has(refused({.optimizer = {.lr = std::numeric_limits<double>::quiet_NaN()}}), "learning rate nan"));
  CHECK(has(refused({.optimizer = {.lr = -1}}), "learning rate -1"));
  CHECK(has(refused({.optimizer = {.beta1 = 1}}), "β is 1"));
  CHECK(mlp.digest() == digest);
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> wide = network({26, 4}), narrow = network({25, 3});
  CHECK(has(message<std::invalid_argument>([&] { train(wide, data, random, {}); }),
            "25 pixels, but the network has 26 inputs"));
  CHECK(has(message<std::invalid_argument>([&] { train(narrow, data, random, {}); }),
            "4 classes, but the network has 3 outputs"));
  CHECK(has(message<std::invalid_argument>([&] { evaluate(wide, data); }), "26 inputs"));
  CHECK(has(message<std::invalid_argument>([&] { Mlp<float>(std::vector<Index>{5}); }), "[5]"));
  CHECK(has(message<std::invalid_argument>([&] { Mlp<float>(std::vector<Index>{5, 0}); }), "[5, 0]"));
  CHECK_THROWS_AS(random_kind("mersenne"), std::invalid_argument);
  CHECK_THROWS_AS(lora_init("zero"), std::invalid_argument);
}

TEST_CASE("a source of random numbers replayed from its history goes on in the same way") {
  for (const RandomKind kind : {RandomKind::torch, RandomKind::philox}) {
    RandomSource random(kind, 5);
    std::vector<float> some(33);
    std::vector<double> others(7);
    random.uniform(std::span<float>(some), -1, 1);
    random.normal(std::span<float>(some));
    random.normal(std::span<double>(others));
    random.uniform(std::span<double>(others), 0, 1);
    for (int epoch = 0; epoch < 3; ++epoch) static_cast<void>(random.epoch_order(20));
    RandomSource again = RandomSource::replay(kind, 5, random.history());
    CHECK(again.history() == random.history());
    CHECK(again.epoch_order(50) == random.epoch_order(50));
  }
  CHECK_THROWS_AS(RandomSource::replay(RandomKind::torch, 5, "x12*1"), Error);
  CHECK_THROWS_AS(RandomSource::replay(RandomKind::torch, 5, "e-3*1"), Error);
}
