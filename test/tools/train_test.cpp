#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "tiny_pictures.hpp"
#include "tools/command_path.hpp"

TEST_CASE("train, eval: tiny pictures are learned, the JSON has its keys") {
  const Workshop shop;
  const auto trained =
      json_of(shop.train("base.safetensors", {"--epochs", "40", "--lr", "1e-2", "--log", shop / "l.csv"}));
  CHECK(trained["steps"] == 240);
  CHECK(trained["mean_loss"].get<double>() < 1.5);
  CHECK(trained["seconds"].get<double>() > 0);
  CHECK(trained["steps_per_second"].get<double>() ==
        doctest::Approx(240 / trained["seconds"].get<double>()).epsilon(1e-9));
  CHECK(trained["sizes"] == nlohmann::json({16, 8, 5, 10}));
  const std::string log = text_of(shop / "l.csv");
  CHECK(log.starts_with("step,loss\n1,2."));
  CHECK(lines_of(log) == 241);
  CHECK(shop.out.names() == Arguments{"base.safetensors", "base.state.safetensors", "l.csv"});
  const auto found = json_of({"eval", shop / "base.safetensors", "--data", shop.folder()});
  CHECK(found["total"] == 40);
  CHECK(found["accuracy"].get<double>() > 0.9);
  CHECK(found["accuracy"].get<double>() == doctest::Approx(1 - found["wrong"].get<double>() / 40));
  CHECK(found["seconds"].get<double>() > 0);
  CHECK(found["wrong_by_class"].size() == 10);
  const Outcome text = run({"eval", shop / "base.safetensors", "--data", shop.folder()});
  CHECK(text.out.find("accuracy") != std::string::npos);
  CHECK(text.err.empty());
}

TEST_CASE("train: the same seed gives the same losses, another and torch's numbers others") {
  const Workshop shop;
  const auto log = [&](const Arguments& more) {
    Arguments all = more;
    all.insert(all.end(), {"--epochs", "2", "--limit", "9", "--log", shop / "l.csv"});
    REQUIRE(run(shop.train("b.safetensors", all)).status == 0);
    return text_of(shop / "l.csv");
  };
  const std::string first = log({});
  CHECK(lines_of(first) == 10);
  CHECK(log({}) == first);
  CHECK(log({"--seed", "5"}) != first);
  CHECK(log({"--rng", "torch"}) != first);
  CHECK(log({"--optimizer", "sgd"}) != first);
}

TEST_CASE("train: a training that is resumed goes on to the same losses and the same file") {
  const Workshop shop;
  const Arguments whole{"--epochs", "3", "--log", shop / "whole.csv"};
  REQUIRE(run(shop.train("whole.safetensors", whole)).status == 0);
  REQUIRE(run(shop.train("part.safetensors", {"--limit", "8", "--log", shop / "1.csv"})).status == 0);
  // 6 steps an epoch: without --epochs there is no eighth step.
  CHECK(lines_of(text_of(shop / "1.csv")) == 7);
  REQUIRE(run(shop.train("part.safetensors", {"--limit", "8", "--epochs", "3", "--log", shop / "1.csv"})).status == 0);
  const auto rest = json_of({"train", "--data", shop.folder(), "--resume", shop / "part.safetensors", "--epochs", "3",
                             "--log", shop / "2.csv", "-o", shop / "part.safetensors"});
  CHECK(rest["steps"] == 18);
  CHECK(rest["steps_per_second"].get<double>() == doctest::Approx(10 / rest["seconds"].get<double>()).epsilon(1e-9));
  const std::string second = text_of(shop / "2.csv");
  CHECK(second.starts_with("step,loss\n9,"));
  CHECK(text_of(shop / "1.csv") + second.substr(second.find('\n') + 1) == text_of(shop / "whole.csv"));
  CHECK(text_of(shop / "part.safetensors") == text_of(shop / "whole.safetensors"));
}

TEST_CASE("train: options that contradict the checkpoint are refused") {
  const Workshop shop;
  shop.trained();
  const auto resumed = [&](const Arguments& more) {
    Arguments all{
        "train", "--data", shop.folder(), "--resume", shop / "base.safetensors", "-o", shop / "n.safetensors"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  check_refused(resumed({"--batch", "20"}), 2, {"--batch 20", "base.safetensors", "10"});
  check_refused(resumed({"--hidden", "8"}), 2, {"--hidden 8", "8-5"});
  check_refused(resumed({"--optimizer", "sgd"}), 2, {"--optimizer sgd", "adam"});
  check_refused(resumed({"--seed", "3"}), 2, {"--seed 3"});
  REQUIRE(run(shop.train("fifth.safetensors", {"--seed", "5"})).status == 0);
  check_refused({"train", "--data", shop.folder(), "--resume", shop / "fifth.safetensors", "--seed", "0", "-o",
                 shop / "n.safetensors"},
                2, {"--seed 0", "5"});
  CHECK(run(resumed({"--hidden", "8,5", "--batch", "10", "--lr", "1e-2", "--epochs", "41"})).status == 0);
  std::filesystem::remove(shop / "base.state.safetensors");
  check_refused(resumed({}), 3, {"base.state.safetensors", "--resume"});
}

TEST_CASE("train: a network that was changed after its training is not gone on from") {
  const Workshop shop;
  const std::string base = shop.trained(), state = shop / "base.state.safetensors";
  REQUIRE(run(shop.lora("base.safetensors", "a", {"--steps", "5"})).status == 0);
  REQUIRE(run({"lora", "merge", base, shop / "a", "-o", base}).status == 0);
  const std::string merged = text_of(base);
  check_refused({"train", "--data", shop.folder(), "--resume", base, "--epochs", "41", "-o", base}, 3, {base, state});
  CHECK(text_of(base) == merged);
}

TEST_CASE("train: a training that is complete already is said to be") {
  const Workshop shop;
  const std::string base = shop.trained(), before = text_of(base);
  const Arguments again{"train", "--data", shop.folder(), "--resume", base, "-o", base};
  const Outcome text = run(again);
  CHECK(text.status == 0);
  CHECK(text.err.find("nothing was left to do: " + base + " is after 240 steps") != std::string::npos);
  CHECK(text_of(base) == before);
  Arguments quietly = again;
  quietly.push_back("--quiet");
  CHECK(json_of(quietly)["last_loss"].is_null());
}

TEST_CASE("train, lora: the losses are not written over a network") {
  const Workshop shop;
  const std::string base = shop.trained(), state = shop / "base.state.safetensors";
  const std::string before = text_of(base), state_before = text_of(state);
  for (const std::string& log : {base, state}) {
    check_refused(shop.train("base.safetensors", {"--log", log}), 2, {"--log", log});
    check_refused({"train", "--data", shop.folder(), "--resume", base, "--epochs", "41", "-o", shop / "n.safetensors",
                   "--log", log},
                  2, {"--log", log});
  }
  check_refused(shop.lora("base.safetensors", "a",
                          {"--log", shop / "../" + shop.out.path().filename().string() + "/base.safetensors"}),
                2, {"--log"});
  check_refused(shop.train("n.safetensors", {"--log", shop / "n.safetensors"}), 2, {"--log"});
  for (const char* log : {"lo/adapter_model.safetensors", "lo/../lo/adapter_config.json", "lo"})
    check_refused(shop.lora("base.safetensors", "lo", {"--log", shop / log}), 2, {"--log", log});
  CHECK(text_of(base) == before);
  CHECK(text_of(state) == state_before);
  CHECK(shop.out.names() == Arguments{"base.safetensors", "base.state.safetensors"});
}

TEST_CASE("train: bad input") {
  const Workshop shop;
  const auto refused = [&](int status, const Arguments& more, const Arguments& named) {
    check_refused(shop.train("n.safetensors", more), status, named);
    CHECK(shop.out.names().empty());
  };
  check_refused({"train", "--data", shop.folder()}, 2, {"-o"});
  check_refused({"train", "--data", shop.folder(), "-o", shop / "n.npz"}, 2, {"-o", "n.npz", ".safetensors"});
  check_refused({"train", "--data", shop / "none", "-o", shop / "n.safetensors"}, 3, {"none"});
  check_refused({"train", "--data", shop.folder(), "-o", shop / "none/n.safetensors"}, 3, {"none/n.safetensors"});
  refused(2, {"--batch", "0"}, {"--batch 0"});
  refused(2, {"--lr", "-1"}, {"--lr -1"});
  refused(2, {"--limit", "0"}, {"--limit 0"});
  CHECK(json_of(shop.train("many.safetensors", {"--epochs", "9223372036854775807", "--limit", "2"}))["steps"] == 2);
  for (const std::string& name : shop.out.names()) std::filesystem::remove(shop / name);
  refused(2, {"--optimizer", "lion"}, {"--optimizer", "lion", "adam|sgd"});
  check_refused({"train", "--data", shop.folder(), "--hidden", "8,,5", "-o", shop / "n.safetensors"}, 2, {"8,,5"});
  check_refused({"train", "--data", shop.folder(), "--hidden", "8,x", "-o", shop / "n.safetensors"}, 2, {"'x'"});
  refused(3, {"--log", shop / "none/l.csv"}, {"none/l.csv"});
  const std::string images = shop.data / "train-images-idx3-ubyte", labels = shop.data / "train-labels-idx1-ubyte";
  const std::string pixels = text_of(images), marks = text_of(labels);
  shop.data.write("train-images-idx3-ubyte", pixels.substr(0, pixels.size() - 7));
  refused(3, {}, {"train-images-idx3-ubyte"});
  shop.data.write("train-images-idx3-ubyte", marks);
  refused(3, {}, {"train-images-idx3-ubyte", "label"});
  shop.data.write("train-images-idx3-ubyte", pixels);
  shop.data.write("train-labels-idx1-ubyte", big_endian(2049) + big_endian(59) + marks.substr(8, 59));
  refused(3, {}, {"60", "59"});
  shop.data.write("train-labels-idx1-ubyte", marks.substr(0, 8 + 59) + char(10));
  refused(3, {}, {"train-labels-idx1-ubyte", "10"});
  std::filesystem::remove(labels);
  refused(3, {}, {shop.folder(), "train-labels-idx1-ubyte", ".gz"});
}

TEST_CASE("train: a learning rate too large stops with the step, the last good checkpoint stays") {
  const Workshop shop;
  const Arguments wild{"--lr", "1e30", "--optimizer", "sgd", "--epochs", "9"};
  check_refused(shop.train("n.safetensors", wild), 3, {"diverged", "step", "1e+30"});
  CHECK(shop.out.names().empty());
  const std::string base = shop.trained(), before = text_of(base);
  check_refused(shop.train("base.safetensors", wild), 3, {"diverged"});
  CHECK(text_of(base) == before);
  check_refused(shop.lora("base.safetensors", "n", {"--lr", "1e38", "--steps", "50"}), 3, {"diverged", "step"});
  // The loss of the only step is finite, what it leaves is not.
  check_refused(shop.lora("base.safetensors", "n", {"--lr", "1e38", "--steps", "1"}), 3, {"diverged", "step 1"});
  CHECK(shop.out.names() == Arguments{"base.safetensors", "base.state.safetensors"});
  check_refused(shop.lora("base.safetensors", "n", {"--lr", "1e38", "--steps", "9223372036854775807"}), 3,
                {"diverged"});
}

TEST_CASE("interrupt: train leaves a checkpoint from which the same training goes on") {
  using namespace std::chrono_literals;
  const Workshop shop;
  const Arguments wanted{"--epochs", "100000000", "--checkpoint-every", "100"};
  for (const int number : {SIGINT, SIGTERM}) {
    Child child(shop.train("b.safetensors", wanted));
    for (int i = 0; i < 30000 && !std::filesystem::exists(shop / "b.safetensors"); ++i)
      std::this_thread::sleep_for(1ms);
    kill(child.id(), number);
    const Outcome outcome = child.wait();
    CHECK(outcome.status == -number);
    CHECK(outcome.err.find("lowrank train: note: interrupted; ") == 0);
    CHECK(outcome.err.find("--resume " + (shop / "b.safetensors")) != std::string::npos);
    CHECK(shop.out.names() == Arguments{"b.safetensors", "b.state.safetensors"});
    const std::size_t at = outcome.err.find("of step ");
    REQUIRE(at != std::string::npos);
    const long stopped = std::stol(outcome.err.substr(at + 8)), end = stopped + 20;
    const auto rest = json_of({"train", "--data", shop.folder(), "--resume", shop / "b.safetensors", "--epochs",
                               "100000000", "--limit", std::to_string(end), "-o", shop / "b.safetensors"});
    CHECK(rest["steps"] == end);
    REQUIRE(run(shop.train("w.safetensors", {"--epochs", "100000000", "--limit", std::to_string(end)})).status == 0);
    CHECK(text_of(shop / "b.safetensors") == text_of(shop / "w.safetensors"));
    for (const std::string& name : shop.out.names()) std::filesystem::remove(shop / name);
  }
}

TEST_CASE("interrupt: the command that goes on is one for a shell") {
  using namespace std::chrono_literals;
  const Workshop shop;
  const std::string path = shop / "Eve's net.safetensors";
  Child child(shop.train("Eve's net.safetensors", {"--epochs", "100000000", "--checkpoint-every", "100"}));
  for (int i = 0; i < 30000 && !std::filesystem::exists(path); ++i) std::this_thread::sleep_for(1ms);
  kill(child.id(), SIGINT);
  const std::string note = child.wait().err;
  const std::size_t at = note.find("to go on: lowrank ");
  REQUIRE(at != std::string::npos);
  const std::string rest = note.substr(at + 18, note.find('\n', at) - at - 18);
  CHECK(rest.find("--checkpoint-every 100") != std::string::npos);
  CHECK(std::system((LOWRANK_COMMAND " " + rest + " --limit 1 --quiet > /dev/null").c_str()) == 0);
}

TEST_CASE("interrupt: a training that is killed leaves a checkpoint that is whole") {
  using namespace std::chrono_literals;
  const Workshop shop;
  Child child(shop.train("b.safetensors", {"--epochs", "100000000", "--checkpoint-every", "10"}));
  for (int i = 0; i < 30000 && !std::filesystem::exists(shop / "b.safetensors"); ++i) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(50ms);
  kill(child.id(), SIGKILL);
  CHECK(child.wait().status == -SIGKILL);
  CHECK(run({"eval", shop / "b.safetensors", "--data", shop.folder()}).status == 0);
  CHECK(run({"train", "--data", shop.folder(), "--resume", shop / "b.safetensors", "--epochs", "100000000", "--limit",
             "1", "-o", shop / "c.safetensors"})
            .status == 0);
}
