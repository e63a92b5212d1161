#include <lowrank/io/safetensors.hpp>
#include <lowrank/nn/lora_file.hpp>
#include <nlohmann/json.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

void change(const std::string& path, const std::string& key, const nlohmann::json& value) {
  auto json = nlohmann::json::parse(io_test::contents(path));
  json[key] = value;
  io_test::put(path, json.dump());
}

}  // namespace

TEST_CASE("an adapter folder read back gives the same outputs") {
  const Mlp<float> base = network({25, 40, 30, 4});
  const Matrix<float> X = samples<float>(8, 25);
  for (const LoraInit init : {LoraInit::gaussian, LoraInit::kaiming, LoraInit::pissa})
    for (const LoraScaling scaling : {LoraScaling::standard, LoraScaling::rank_stabilized}) {
      TemporaryFolder folder;
      const LoraAdapter<float> adapter = trained_adapter(
          base, {.rank = 2, .alpha = 3, .scaling = scaling, .init = init, .layers = {"linear1", "linear3"}});
      save_adapter(folder / "new/adapter", adapter, "base.safetensors");
      const LoraAdapter<float> back = load_adapter<float>(folder / "new/adapter", base);
      CHECK(back.base_digest() == base.digest());
      CHECK(back.layers().size() == 2);
      CHECK(back.scaling() == scaling);
      CHECK(largest_difference<float>(logits<float>(base, &back, X), logits<float>(base, &adapter, X)) < 1e-6);
      const AdapterInfo info = adapter_info(folder / "new/adapter");
      CHECK(info.rank == (init == LoraInit::pissa ? 4 : 2));
      CHECK(info.base_path == "base.safetensors");
      CHECK(info.parameters() == info.rank * (25 + 40 + 30 + 4));
    }
}

TEST_CASE("adapter folders have PEFT's names, shapes and keys") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  save_adapter(folder.path.string(),
               trained_adapter(base, {.rank = 2, .alpha = 3, .scaling = LoraScaling::rank_stabilized}));
  const SafetensorsFile file = SafetensorsFile::open(folder / "adapter_model.safetensors");
  CHECK(file.tensors().size() == 6);
  CHECK(file.tensor("base_model.model.linear2.lora_A.weight").shape == std::vector<Index>{2, 40});
  CHECK(file.tensor("base_model.model.linear2.lora_B.weight").shape == std::vector<Index>{30, 2});
  const auto config = nlohmann::json::parse(io_test::contents(folder / "adapter_config.json"));
  CHECK(config["peft_type"] == "LORA");
  CHECK(config["r"] == 2);
  CHECK(config["lora_alpha"] == 3);
  CHECK(config["use_rslora"] == true);
  CHECK(config["bias"] == "none");
  CHECK(config["task_type"].is_null());
  CHECK(config["base_model_name_or_path"].is_null());
  CHECK(config["target_modules"] == nlohmann::json({"linear1", "linear2", "linear3"}));
  CHECK(config["rank_pattern"].is_object());
}

TEST_CASE("rank and alpha patterns are followed") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  const LoraAdapter<float> adapter = trained_adapter(base, {.rank = 2, .alpha = 3});
  save_adapter(folder.path.string(), adapter);
  change(folder / "adapter_config.json", "alpha_pattern", {{"^linear2", 12}});
  const LoraAdapter<float> back = load_adapter<float>(folder.path.string(), base);
  CHECK(back.layers()[0].scale == 1.5);
  CHECK(back.layers()[1].scale == 6);
  save_adapter(folder / "again", back);
  const LoraAdapter<float> again = load_adapter<float>(folder / "again", base);
  CHECK(again.layers()[1].scale == 6);
  CHECK(again.layers()[2].scale == 1.5);
}

TEST_CASE("bad adapter folders are refused by name") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  const std::string at = folder.path.string(), config = folder / "adapter_config.json",
                    tensors = folder / "adapter_model.safetensors";
  const auto fresh = [&] { save_adapter(at, trained_adapter(base, {.rank = 2})); };
  const auto refused = [&] { return message<Error>([&] { load_adapter<float>(at, base); }); };
  CHECK(has(message<Error>([&] { load_adapter<float>(folder / "none", base); }), "no such folder"));
  CHECK(has(refused(), "adapter_config.json"));
  fresh();
  std::filesystem::remove(tensors);
  CHECK(has(refused(), "adapter_model.safetensors"));
  fresh();
  std::filesystem::resize_file(tensors, std::filesystem::file_size(tensors) - 4);
  CHECK(has(refused(), "adapter_model.safetensors"));
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, nlohmann::json>>{{"peft_type", "IA3"},
                                                                     {"use_dora", true},
                                                                     {"bias", "all"},
                                                                     {"fan_in_fan_out", true},
                                                                     {"r", 0},
                                                                     {"lora_alpha", "x"},
                                                                     {"modules_to_save", {"linear3"}},
                                                                     {"alpha_pattern", {{"(", 1}}}}) {
    fresh();
    change(config, key, value);
    CHECK(has(refused(), key));
  }
  fresh();
  change(config, "r", 3);
  CHECK(has(refused(), "linear1 has the rank 2, but adapter_config.json says 3"));
  change(config, "rank_pattern", {{"linear[12]", 2}});
  CHECK(has(refused(), "linear3 has the rank 2, but adapter_config.json says 3"));
  change(config, "rank_pattern", {{"linear[12]", 2}, {"^linear3", 2}});
  CHECK(refused().empty());
  change(config, "rank_pattern", {{"linear1", "x"}});
  CHECK(has(refused(), "rank_pattern[\"linear1\"] is no number"));
  fresh();
  io_test::put(config, "{");
  CHECK(has(refused(), "adapter_config.json"));
  fresh();
  const Mlp<float> other = network({25, 40, 30, 4}, 8), shallow = network({25, 40});
  CHECK(has(message<Error>([&] { load_adapter<float>(at, other); }), "another base"));
  CHECK(has(message<Error>([&] { load_adapter<float>(at, shallow); }), "linear2"));
}
