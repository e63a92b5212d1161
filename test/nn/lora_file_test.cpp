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
  CHECK(has(refused(), "rank_pattern['linear1'] is no whole number"));
  fresh();
  io_test::put(config, "{");
  CHECK(has(refused(), "adapter_config.json"));
  fresh();
  const Mlp<float> other = network({25, 40, 30, 4}, 8), shallow = network({25, 40});
  CHECK(has(message<Error>([&] { load_adapter<float>(at, other); }), "another base"));
  CHECK(has(message<Error>([&] { load_adapter<float>(at, shallow); }), "linear2"));
}

TEST_CASE("adapters whose base PEFT changes on loading are refused by the name of their initialization") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  const std::string at = folder.path.string(), config = folder / "adapter_config.json";
  save_adapter(at, trained_adapter(base, {.rank = 2}));
  const auto refused = [&](const nlohmann::json& init) {
    change(config, "init_lora_weights", init);
    return message<Error>([&] { load_adapter<float>(at, base); });
  };
  for (const nlohmann::json& harmless :
       std::vector<nlohmann::json>{true, false, nullptr, "gaussian", "orthogonal", "eva"})
    CHECK(refused(harmless) == "");
  for (const char* other : {"pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "Gaussian", ""}) {
    CAPTURE(other);
    const std::string complaint = refused(other);
    CHECK(has(complaint, config + ": init_lora_weights is \"" + other + "\""));
    CHECK(has(complaint, "path_initial_model_for_weight_conversion"));
  }
  CHECK(has(refused({{"pissa", 1}}), "init_lora_weights is {\"pissa\":1}"));
}

TEST_CASE("of several patterns that match, the first one in the file counts") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  const std::string config = folder / "adapter_config.json";
  save_adapter(folder.path.string(), trained_adapter(base, {.rank = 2, .alpha = 3}));
  const std::string whole = io_test::contents(config), none = "\"alpha_pattern\": {}";
  REQUIRE(whole.find(none) != std::string::npos);
  const auto scales = [&](const std::string& patterns) {
    std::string text = whole;
    text.replace(text.find(none), none.size(), "\"alpha_pattern\": " + patterns);
    io_test::put(config, text);
    const LoraAdapter<float> adapter = load_adapter<float>(folder.path.string(), base);
    std::vector<double> found;
    for (const LoraLayer<float>& layer : adapter.layers()) found.push_back(layer.scale);
    return found;
  };
  CHECK(scales(R"({"linear.": 12, "^linear2": 8})") == std::vector<double>{6, 6, 6});
  CHECK(scales(R"({"^linear2": 8, "linear.": 12})") == std::vector<double>{6, 4, 6});
  // The whole name, or what follows one of its dots, must match.
  CHECK(scales(R"({"linear": 8, "inear1": 8, "linear3$": 8})") == std::vector<double>{1.5, 1.5, 4});
}

TEST_CASE("patterns and names of any length take little time, and what RE2 does not read is refused") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  const std::string at = folder.path.string(), config = folder / "adapter_config.json";
  save_adapter(at, trained_adapter(base, {.rank = 2}));
  const auto refused = [&](const std::string& pattern) {
    change(config, "alpha_pattern", {{pattern, 3}});
    return message<Error>([&] { load_adapter<float>(at, base); });
  };
  CHECK(refused("(l+)+i(n+e*a*r*)*x") == "");
  const std::string beyond = " is beyond the regular expressions lowrank reads";
  CHECK(refused(std::string(20000, '(') + "a" + std::string(20000, ')')).size() < 400);  // some versions refuse it
  for (const std::string& pattern : {std::string("(?=linear1)"), std::string("(l)inear\\1"), std::string("("),
                                     std::string("a{,3}"), std::string("a|b)(c"), std::string(200000, 'a')}) {
    const std::string complaint = refused(pattern);
    CHECK(has(complaint, "adapter_config.json: alpha_pattern: the pattern '" + pattern.substr(0, 40)));
    CHECK(has(complaint, beyond));
    CHECK(complaint.size() < 400);
  }
  change(config, "alpha_pattern", {{"(a+)+b", 3}});
  const std::string name(50000, 'a');
  SafetensorsWriter writer;
  const Matrix<float> A = samples<float>(2, 3), B = samples<float>(4, 2);
  writer.add<float>("base_model.model." + name + ".lora_A.weight", A);
  writer.add<float>("base_model.model." + name + ".lora_B.weight", B);
  writer.write(folder / "adapter_model.safetensors");
  CHECK(adapter_info(at).layers.at(0).name == name);
}

TEST_CASE("an adapter that cannot be saved leaves both files of the old one") {
  TemporaryFolder folder;
  const Mlp<float> base = network({25, 40, 30, 4});
  const std::string at = folder / "a", config = at + "/adapter_config.json",
                    tensors = at + "/adapter_model.safetensors";
  save_adapter(at, trained_adapter(base, {.rank = 2}));
  const std::string before = io_test::contents(tensors);
  for (const bool full : {false, true}) {
    std::filesystem::remove_all(config);
    if (full)
      std::filesystem::create_symlink("/dev/full", config);
    else
      std::filesystem::create_directory(config);
    CHECK(has(message<Error>([&] { save_adapter(at, trained_adapter(base, {.rank = 1})); }), "adapter_config.json"));
    CHECK(io_test::contents(tensors) == before);
    CHECK(std::distance(std::filesystem::directory_iterator(at), std::filesystem::directory_iterator()) == 2);
  }
}
