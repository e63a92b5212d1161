#include <array>
#include <instruction_sets.hpp>
#include <lowrank/nn/training_step.hpp>

#include "nn_check.hpp"

using namespace nn_check;

// Updates of weights that no sample uses may wait: to the bit as if they had not.

namespace {

constexpr Index batch_size = 10, inputs = 53, outputs = 75;

bool waits() { return check::device().training<float>().gains_by_waiting(batch_size); }

/// A layer by columns in training, whose inputs come from ReLU.
template <Real T>
struct Layer {
  Matrix<T> W = columns(2), m = columns(3), v = columns(4), X = rows(inputs), dY = rows(outputs), Y = rows(outputs),
            dX = rows(inputs);
  std::vector<std::int64_t> owed_since = std::vector<std::int64_t>(inputs, -1);
  TrainingClock clock{};

  static Matrix<T> columns(std::uint64_t seed) {
    Matrix<T> made = padded_columns<T>(outputs, inputs, host_device());
    fill_normal<T>(made, seed, 2);
    if (seed != 2) fill<T>(made, 0);
    return made;
  }
  static Matrix<T> rows(Index cols) { return padded_rows<T>(batch_size, cols, host_device()); }

  Owing<T> owing() { return {{W, m, v}, owed_since.data()}; }

  void step(const Optimizer& optimizer, bool waiting) {
    const TrainingPrimitives<T>& device = host_device().training<T>();
    fill_normal<T>(dY, 5, static_cast<std::uint64_t>(clock.step));
    fill_normal<T>(X, 6, static_cast<std::uint64_t>(clock.step));
    for (Index j = 0; j < inputs; ++j)
      for (Index i = 0; i < batch_size; ++i) {
        T& x = X(i, j);
        // Column 0 is never used, 1 in the first step only, 2 in each, the others in about one of j.
        const bool used = j == 1 ? clock.step == 0 : j > 0 && (j == 2 || clock.step * 7 % j == 3);
        x = used && i % 3 == j % 3 ? std::abs(x) : T(0);
      }
    if (waiting)
      device.owing_forward(X, owing(), optimizer, &clock, {}, Activation::relu, Y);
    else
      device.linear_forward(T(1), X, W, {}, {}, {}, Activation::relu, Y);
    device.linear_backward(
        {.dY = dY, .X = X, .W = W, .weight = {W, m, v}, .dX = dX, .owed_since = waiting ? owed_since.data() : nullptr},
        optimizer, &clock, {});
    device.advance(&clock, batch_size);
  }
};

template <Real T>
bool same(const Matrix<T>& a, const Matrix<T>& b) {
  return largest_difference<T>(a, b) == 0;
}

}  // namespace

TEST_CASE_TEMPLATE("updates that wait are made to the bit as if they had not waited", T, float, double) {
  if (!waits()) return;
  // The usual β; moments that decay so fast that updates without a gradient grow, from below what a weight's last bit
  // can hold too; SGD.
  const double tiny = std::numeric_limits<T>::epsilon() / 100;
  for (const Optimizer& optimizer :
       {Optimizer{}, Optimizer{.beta1 = 0.99, .beta2 = 0.5}, Optimizer{.lr = tiny, .beta1 = 0.99, .beta2 = 0.5},
        Optimizer{.rule = UpdateRule::sgd}})
    for_each_instruction_set([&] {
      Layer<T> waiting, prompt;
      Index owing = 0, longest = 0;
      for (int step = 0; step < 300; ++step) {
        waiting.step(optimizer, true);
        prompt.step(optimizer, false);
        REQUIRE(same(waiting.Y, prompt.Y));
        REQUIRE(same(waiting.dX, prompt.dX));
        for (const std::int64_t since : waiting.owed_since) {
          owing += since >= 0 ? 1 : 0;
          if (since >= 0) longest = std::max<Index>(longest, waiting.clock.step - since);
        }
      }
      if (optimizer.rule == UpdateRule::adam) {
        CHECK(owing > 300 * inputs / 2);
        CHECK(longest == 64);
        CHECK_FALSE(same(waiting.W, prompt.W));
      }
      host_device().training<T>().catch_up(waiting.owing(), optimizer, &waiting.clock);
      CHECK(same(waiting.W, prompt.W));
      CHECK(same(waiting.m, prompt.m));
      CHECK(same(waiting.v, prompt.v));
    });
}

TEST_CASE("what cannot wait, or has waited too long, is refused") {
  if (!waits()) return;
  Layer<float> layer;
  const TrainingPrimitives<float>& device = host_device().training<float>();
  layer.step({}, true);
  const LinearBackward<float> without_dX{.dY = layer.dY,
                                         .X = layer.X,
                                         .W = layer.W,
                                         .weight = {layer.W, layer.m, layer.v},
                                         .owed_since = layer.owed_since.data()};
  CHECK_THROWS_AS(device.linear_backward(without_dX, {}, &layer.clock, {}), std::invalid_argument);
  layer.clock.step = 65;
  CHECK(has(message<std::invalid_argument>([&] { device.catch_up(layer.owing(), {}, &layer.clock); }),
            "more steps than they may"));
  layer.clock.step = 1;
  Matrix<float> by_rows = padded_rows<float>(outputs, inputs, host_device());
  const Owing<float> rows{{by_rows, by_rows, by_rows}, layer.owed_since.data()};
  CHECK_THROWS_AS(device.catch_up(rows, {}, &layer.clock), std::invalid_argument);
}

TEST_CASE("when on_step is called no update waits, however rarely that is") {
  const Dataset data = dataset(1005);
  std::vector<std::string> digests;
  for (const Index every : {1, 30, 1000}) {
    RandomSource random(RandomKind::philox, 2);
    Mlp<float> mlp = network({25, 200, 150, 100, 4});
    std::string seen;
    const auto look = [&](const StepReport& report) {
      if (report.step == 90) seen = mlp.digest();
      return report.step == 90 ? Continue::stop : Continue::yes;
    };
    train(mlp, data, random, {.limit = 90, .on_step = look, .report_every = every});
    CHECK(seen == mlp.digest());
    digests.push_back(seen);
  }
  // Without on_step; and from a checkpoint, which would lose what had waited.
  const TemporaryFolder folder;
  const std::string path = folder / "net.safetensors";
  for (const Index first : {90, 45}) {
    RandomSource random(RandomKind::philox, 2);
    Mlp<float> mlp = network({25, 200, 150, 100, 4});
    train(mlp, data, random, {.limit = first, .checkpoint = path});
    if (first < 90) resume(path, mlp, data, {.limit = 90, .checkpoint = path});
    digests.push_back(mlp.digest());
  }
  for (const std::string& each : digests) CHECK(each == digests.front());
}
