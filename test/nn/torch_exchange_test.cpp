#include <cstdlib>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/nn/checkpoint.hpp>
#include <lowrank/nn/lora_file.hpp>

#include "nn_check.hpp"

// The two halves of check_torch.py, which names the folder in LOWRANK_TORCH_FOLDER: files for torch and PEFT to read,
// and files that they wrote.

using namespace nn_check;

namespace {

const char* folder() { return std::getenv("LOWRANK_TORCH_FOLDER"); }

void write_outputs(const std::string& path, const Matrix<float>& X, const Matrix<float>& Y) {
  SafetensorsWriter writer;
  writer.add<float>("inputs", X.view());
  writer.add<float>("outputs", Y.view());
  writer.write(path);
}

}  // namespace

TEST_CASE("files for torch and PEFT to read [torch]") {
  if (folder() == nullptr) SKIP("for check_torch.py: LOWRANK_TORCH_FOLDER is not set");
  const std::string at = std::string(folder()) + "/";
  RandomSource random(RandomKind::torch, 3);
  Mlp<float> base({25, 64, 48, 4});
  initialize(base, random);
  train(base, dataset(), random, {.checkpoint = at + "base.safetensors"});
  const Matrix<float> X = samples<float>(40, 25);
  write_outputs(at + "base.outputs.safetensors", X, logits<float>(base, X));
  int number = 0;
  for (const LoraInit init : {LoraInit::gaussian, LoraInit::kaiming, LoraInit::pissa})
    for (const LoraScaling scaling : {LoraScaling::standard, LoraScaling::rank_stabilized}) {
      LoraOptions options{.rank = 3, .alpha = 2, .scaling = scaling, .init = init};
      if (number % 2 == 1) options.layers = {"linear1", "linear3"};
      LoraAdapter<float> adapter(base, options, random);
      train_adapter(base, adapter, dataset(), random, {.epochs = 2});
      const std::string to = at + "adapter" + std::to_string(number++);
      save_adapter(to, adapter);
      write_outputs(to + "/outputs.safetensors", X, logits<float>(base, &adapter, X));
    }
}

TEST_CASE("adapters that PEFT wrote [torch]") {
  if (folder() == nullptr) SKIP("for check_torch.py: LOWRANK_TORCH_FOLDER is not set");
  const std::string at = std::string(folder()) + "/";
  const Mlp<float> base = load_mlp<float>(at + "base.safetensors");
  for (const char* name : {"peft0", "peft1"}) {
    CAPTURE(name);
    const LoraAdapter<float> adapter = load_adapter<float>(at + name, base);
    const SafetensorsFile file = SafetensorsFile::open(at + name + "/outputs.safetensors");
    const Matrix<float> X = Matrix<float>::copy_of(file.matrix<float>("inputs"), Order::row_major);
    const Matrix<float> expected = file.matrix<float>("outputs"), found = logits<float>(base, &adapter, X);
    CHECK(largest_difference<float>(found, expected) < 1e-5 * std::max(1.0, frobenius_norm<float>(expected)));
    CHECK(largest_difference<float>(found, logits<float>(base, X)) > 1e-3);
  }
}
