#include <lowrank/io/safetensors.hpp>
#include <lowrank/nn/checkpoint.hpp>
#include <tuple>

#include "nn_check.hpp"

using namespace nn_check;

TEST_CASE("a checkpoint read back is the network to the bit, under torch's names") {
  TemporaryFolder folder;
  const Mlp<float> mlp = network({25, 40, 4});
  save_mlp(folder / "base.safetensors", mlp);
  CHECK(load_mlp<float>(folder / "base.safetensors", check::device()).digest() == mlp.digest());
  const SafetensorsFile file = SafetensorsFile::open(folder / "base.safetensors");
  CHECK(file.tensors().size() == 4);
  CHECK(file.tensor("linear1.weight").shape == std::vector<Index>{40, 25});
  CHECK(file.tensor("linear1.bias").shape == std::vector<Index>{40});
  CHECK(file.metadata().at("sizes") == "25,40,4");
  CHECK(file.metadata().at("activation") == "relu");
}

TEST_CASE("a checkpoint without metadata: layers go by the numbers in their names") {
  TemporaryFolder folder;
  const Mlp<float> mlp = network({5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2});
  SafetensorsWriter writer;
  std::vector<Matrix<float>> kept;
  kept.reserve(2 * mlp.layers().size());
  for (const Linear<float>& layer : mlp.layers()) {
    writer.add<float>(layer.name + ".weight", kept.emplace_back(to_host<float>(layer.weight)).view());
    writer.add_vector<float>(layer.name + ".bias", kept.emplace_back(to_host<float>(layer.bias)).view());
  }
  writer.write(folder / "m.safetensors");
  CHECK(load_mlp<float>(folder / "m.safetensors").digest() == mlp.digest());  // linear10 comes after linear9
}

TEST_CASE("files that are no network are refused by name") {
  TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  const Matrix<float> W = samples<float>(3, 2), b = samples<float>(3, 1), bad = samples<float>(2, 1),
                      huge = samples<float>(4, 5), four = samples<float>(4, 1);
  const auto refused = [&](const std::vector<std::pair<std::string, const Matrix<float>*>>& tensors,
                           const std::string& activation = "relu") {
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors)
      tensor->cols() == 1 ? writer.add_vector<float>(name, tensor->view()) : writer.add<float>(name, tensor->view());
    writer.set_metadata("activation", activation);
    writer.write(path);
    return message<Error>([&] { load_mlp<float>(path); });
  };
  CHECK(has(refused({{"a.weight", &W}}), "a.bias is not"));
  CHECK(has(refused({{"a.bias", &b}}), "a.weight is not"));
  CHECK(has(refused({{"conv", &W}}), "conv"));
  CHECK(has(refused({{"a.weight", &W}, {"a.bias", &bad}}), "biases"));
  CHECK(
      has(refused({{"a1.weight", &W}, {"a1.bias", &b}, {"a2.weight", &huge}, {"a2.bias", &four}}), "a2 has 5 inputs"));
  CHECK(has(refused({{"a.weight", &W}, {"a.bias", &b}}, "tanh"), "tanh"));
  Matrix<float> nan = samples<float>(3, 2);
  nan(2, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK(has(refused({{"a.weight", &nan}, {"a.bias", &b}}), "a.weight is not finite at (2, 1)"));
  CHECK(has(message<Error>([&] { load_mlp<float>(folder / "none.safetensors"); }), "none.safetensors"));
}

TEST_CASE("resumed training makes the losses of the uninterrupted one to the bit") {
  const Dataset data = dataset();
  for (const RandomKind kind : {RandomKind::torch, RandomKind::philox})
    for (const UpdateRule rule : {UpdateRule::adam, UpdateRule::sgd})
      for (const Index interrupted : {7, 21, 30}) {  // within an epoch of 21 steps, at its end, in the next
        CAPTURE(interrupted);
        const TrainOptions common{.optimizer = {.rule = rule}, .epochs = 3};
        const auto start = [&](RandomSource& random) {
          Mlp<float> mlp({25, 33, 4}, check::device());
          initialize(mlp, random);
          return mlp;
        };
        Losses whole, parts;
        TrainOptions options = common;
        options.on_step = whole.record();
        RandomSource random(kind, 11);
        Mlp<float> mlp = start(random);
        const TrainResult expected = train(mlp, data, random, options);

        TemporaryFolder folder;
        options.on_step = parts.record();
        options.checkpoint = folder / "base.safetensors";
        options.limit = interrupted;
        RandomSource again(kind, 11);
        Mlp<float> first = start(again);
        train(first, data, again, options);
        options.limit = 0;
        Mlp<float> second = network({2, 2});
        const TrainResult found = resume(options.checkpoint, second, data, options);
        CHECK(parts.values == whole.values);
        CHECK(second.digest() == mlp.digest());
        CHECK(found.steps == expected.steps);
        CHECK(found.steps_here == expected.steps - interrupted);
        CHECK(found.mean_loss == expected.mean_loss);
        CHECK(load_mlp<float>(options.checkpoint).digest() == mlp.digest());
      }
}

TEST_CASE("a stop request leaves a whole checkpoint, an exception none") {
  TemporaryFolder folder;
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> mlp = network({25, 33, 4});
  TrainOptions options{.checkpoint = folder / "base.safetensors"};
  options.on_step = [](const StepReport& report) { return report.step == 5 ? Continue::stop : Continue::yes; };
  const TrainResult result = train(mlp, data, random, options);
  CHECK(result.outcome == TrainOutcome::stopped);
  CHECK(result.steps == 5);
  CHECK(load_mlp<float>(options.checkpoint).digest() == mlp.digest());
  CHECK(load_state<float>(state_path(options.checkpoint)).progress.step == 5);
  CHECK(folder.count() == 2);

  options.checkpoint = folder / "other.safetensors";
  options.on_step = [](const StepReport&) -> Continue { throw std::runtime_error("enough"); };
  CHECK_THROWS_AS(train(mlp, data, random, options), std::runtime_error);
  CHECK(folder.count() == 2);
}

TEST_CASE("a loss that is not finite ends training and keeps the last good checkpoint") {
  TemporaryFolder folder;
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> mlp = network({25, 33, 4});
  TrainOptions options{
      .optimizer = {.rule = UpdateRule::sgd, .lr = 1e-2}, .limit = 4, .checkpoint = folder / "base.safetensors"};
  train(mlp, data, random, options);
  options.optimizer.lr = 1e30;
  options.limit = 20;
  options.checkpoint_every = 1;
  const TrainResult result = train(mlp, data, random, options);
  CHECK(result.outcome == TrainOutcome::diverged);
  CHECK(result.diverged_step >= 1);
  CHECK(result.diverged_step <= 5);
  const Mlp<float> kept = load_mlp<float>(options.checkpoint);  // refuses what is not finite
  CHECK(kept.depth() == 2);
  CHECK_NOTHROW(load_state<float>(state_path(options.checkpoint)));
}

TEST_CASE("a training without checkpoints has diverged too when its last update leaves what is not finite") {
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> mlp = network({25, 33, 4});
  LoraAdapter<float> adapter(mlp, {}, random);
  const TrainOptions options{.optimizer = {.lr = 1e38}, .limit = 1};  // 1e38 / (1 - β₁) is no float
  for (const TrainResult& result :
       {train_adapter(mlp, adapter, data, random, options), train(mlp, data, random, options)}) {
    CHECK(result.outcome == TrainOutcome::diverged);
    CHECK(result.diverged_step == 1);
    CHECK(std::isfinite(result.last_loss));
  }
}

TEST_CASE("a state with numbers that no training has is refused by name") {
  TemporaryFolder folder;
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> mlp = network({25, 33, 4});
  const TrainOptions options{.limit = 3, .checkpoint = folder / "base.safetensors"};
  train(mlp, data, random, options);
  const std::string path = state_path(options.checkpoint), whole = io_test::contents(path);
  const TrainingState<float> good = load_state<float>(path);
  const auto refused = [&](const std::string& what, const std::function<void(TrainingProgress&)>& spoil) {
    TrainingProgress progress = good.progress;
    spoil(progress);
    save_state<float>(path, progress, good.parameters, good.m, good.v);
    const std::string complaint = message<Error>([&] { resume(options.checkpoint, mlp, data, options); });
    CAPTURE(complaint);
    CHECK(has(complaint, "base.state.safetensors"));
    CHECK(has(complaint, what));
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused("'next' is -50", [](TrainingProgress& p) { p.next = -50; });
  refused("'next' is 206", [](TrainingProgress& p) { p.next = 206; });
  refused("'step' is -7", [](TrainingProgress& p) { p.step = -7; });
  refused("'epochs_begun' is -1", [](TrainingProgress& p) { p.epochs_begun = -1; });
  refused("'batch' is 0", [](TrainingProgress& p) { p.batch = 0; });
  refused("'lr' is 0", [](TrainingProgress& p) { p.optimizer.lr = 0; });
  refused("'lr' is nan", [&](TrainingProgress& p) { p.optimizer.lr = nan; });
  refused("'beta1' is 1", [](TrainingProgress& p) { p.optimizer.beta1 = 1; });
  refused("'epsilon' is inf", [](TrainingProgress& p) { p.optimizer.epsilon = HUGE_VAL; });
  refused("'loss_sum' is nan", [&](TrainingProgress& p) { p.loss_sum = nan; });
  refused("'x3*1'", [](TrainingProgress& p) { p.history = "x3*1"; });
  for (const auto& [from, to] : {std::pair("\"adam\"", "\"lion\""), {"\"philox\"", "\"dice56\""}}) {
    std::string changed = whole;
    changed.replace(changed.find(from), std::string_view(from).size(), to);
    io_test::put(path, changed);
    CHECK(has(message<Error>([&] { load_state<float>(path); }), std::string(to).substr(1, 4)));
  }
  std::string unchained = whole;  // 33 x 25 and 4 x 33 follow each other, not the other way round
  unchained.replace(unchained.find("linear1,linear2"), 15, "linear2,linear1");
  io_test::put(path, unchained);
  CHECK(has(message<Error>([&] { resume(options.checkpoint, mlp, data, options); }), "base.state.safetensors"));
}

TEST_CASE("resuming is refused without a state, with other data, with a damaged state") {
  TemporaryFolder folder;
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> mlp = network({25, 33, 4});
  const TrainOptions options{.limit = 3, .checkpoint = folder / "base.safetensors"};
  const auto refused = [&](const Dataset& with) {
    return message<Error>([&] { resume(options.checkpoint, mlp, with, options); });
  };
  CHECK(has(refused(data), "base.state.safetensors"));
  train(mlp, data, random, options);
  CHECK(has(refused(dataset(204)), "other data"));
  CHECK(has(refused(data.only({1, 2})), "other data"));
  const std::string path = state_path(options.checkpoint), whole = io_test::contents(path);
  io_test::put(path, whole.substr(0, whole.size() - 9));
  CHECK(has(refused(data), "base.state.safetensors"));
  save_mlp(path, mlp);
  CHECK(has(refused(data), "no state of a training"));
  CHECK(state_path("a/b") == "a/b.state.safetensors");
}

TEST_CASE("resuming is refused where the network was changed after its training") {
  TemporaryFolder folder;
  const Dataset data = dataset();
  RandomSource random(RandomKind::philox, 1);
  Mlp<float> mlp = network({25, 33, 4});
  TrainOptions options{.limit = 3, .checkpoint = folder / "base.safetensors"};
  train(mlp, data, random, options);
  const std::string first = io_test::contents(options.checkpoint);
  options.limit = 6;
  const auto refused = [&] {
    Mlp<float> other = network({2, 2});
    const std::string complaint = message<Error>([&] { resume(options.checkpoint, other, data, options); });
    CHECK((complaint.empty() || other.inputs() == 2));
    return complaint;
  };
  save_mlp(options.checkpoint, network({25, 33, 4}, 9));
  const std::string complaint = refused();
  CHECK(has(complaint, options.checkpoint + ": its parameters are not those of " + state_path(options.checkpoint)));
  CHECK(has(complaint, "changed after the training"));
  io_test::put(options.checkpoint, first);
  CHECK(refused() == "");
  // As a training that was killed after the state, and before the network, leaves it.
  io_test::put(options.checkpoint, first);
  options.limit = 9;
  CHECK(refused() == "");
  std::filesystem::remove(options.checkpoint);
  CHECK(refused() == "");
}

TEST_CASE("layers without numbers and metadata go in the only order in which their shapes chain") {
  TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  using Shapes = std::vector<std::tuple<std::string, Index, Index>>;  // name, inputs, outputs
  const auto write = [&](const Shapes& shapes, const std::string& layers = "") {
    SafetensorsWriter writer;
    std::vector<Matrix<float>> kept;
    kept.reserve(2 * shapes.size());
    for (const auto& [name, in, out] : shapes) {
      writer.add<float>(name + ".weight", kept.emplace_back(samples<float>(out, in)).view());
      writer.add_vector<float>(name + ".bias", kept.emplace_back(samples<float>(out, 1)).view());
    }
    if (!layers.empty()) writer.set_metadata("layers", layers);
    writer.write(path);
  };
  const auto order = [&](const Shapes& shapes, const std::string& layers = "") {
    write(shapes, layers);
    std::string names;
    const Mlp<float> mlp = load_mlp<float>(path);
    for (const Linear<float>& layer : mlp.layers()) names += (names.empty() ? "" : ",") + layer.name;
    return names;
  };
  const auto refused = [&](const Shapes& shapes) {
    write(shapes);
    return message<Error>([&] { load_mlp<float>(path); });
  };
  CHECK(order({{"one", 5, 6}, {"two", 6, 7}, {"three", 7, 8}, {"zlast", 8, 2}}) == "one,two,three,zlast");
  CHECK(order({{"fc1", 5, 6}, {"fc2", 6, 6}, {"fc10", 6, 6}, {"classifier", 6, 2}}) == "fc1,fc2,fc10,classifier");
  const Shapes square{{"one", 5, 6}, {"two", 6, 6}, {"three", 6, 6}, {"zlast", 6, 2}};
  const std::string complaint = refused(square);
  CHECK(has(complaint, "m.safetensors: the order of the layers one, three, two, zlast is not known"));
  CHECK(has(complaint, "not in one order alone"));
  CHECK(has(complaint, "metadata \"layers\""));
  CHECK(order(square, "one,two,three,zlast") == "one,two,three,zlast");
  CHECK(has(refused({{"one", 5, 6}, {"two", 7, 8}}), "their shapes fit in no order"));
  Shapes many;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'e'; ++b) many.push_back({std::string{a, b}, 4, 4});
  CHECK(has(refused(many), "not in one order alone"));
}
