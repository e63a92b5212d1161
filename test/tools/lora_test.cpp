#include <doctest/doctest.h>

#include <lowrank/nn/checkpoint.hpp>

#include "tiny_pictures.hpp"

TEST_CASE("train, eval, lora: help with examples") {
  for (const Arguments& which :
       {Arguments{"train"}, {"eval"}, {"lora", "train"}, {"lora", "merge"}, {"lora", "info"}}) {
    Arguments call = which;
    call.push_back("--help");
    const Outcome help = run(call);
    const std::string name = which.size() == 1 ? which[0] : which[0] + " " + which[1];
    CAPTURE(name);
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    for (const char* word : {"--json", "--quiet", "--threads N", "Examples:"})
      CHECK_MESSAGE(help.out.find(word) != std::string::npos, word);
    CHECK(help.out.find("Usage: lowrank " + name) != std::string::npos);
    CHECK(help.out.find("\n  lowrank " + name + " ") != std::string::npos);
    check_refused(
        [&] {
          Arguments wrong = which;
          wrong.push_back("--nonsense");
          return wrong;
        }(),
        2, {"see lowrank " + name + " --help"});
  }
  const Outcome group = run({"lora", "--help"});
  CHECK(group.status == 0);
  for (const char* word : {"train", "merge", "info"}) CHECK(group.out.find(word) != std::string::npos);
}

TEST_CASE("lora: train, eval, merge, info") {
  const Workshop shop;
  const std::string base = shop.trained(), before = text_of(base);
  const auto trained = json_of(shop.lora("base.safetensors", "twos",
                                         {"--classes", "2", "--steps", "30", "--lr", "1e-2", "--log", shop / "l.csv"}));
  CHECK(trained["steps"] == 30);
  CHECK(trained["base_unchanged"] == true);
  CHECK(trained["total_parameters"] == 16 * 8 + 8 + 8 * 5 + 5 + 5 * 10 + 10);
  CHECK(trained["trainable_parameters"] == (16 + 8) + (8 + 5) + (5 + 10));
  for (const char* key : {"mean_loss", "seconds", "steps_per_second"}) CHECK(trained[key].get<double>() > 0);
  CHECK(lines_of(text_of(shop / "l.csv")) == 31);
  CHECK(text_of(base) == before);

  const auto found = json_of({"eval", base, "--data", shop.folder(), "--adapter", shop / "twos"});
  CHECK(found["evaluations"].size() == 2);
  CHECK(found["evaluations"][0]["adapter"].is_null());
  CHECK(found["wrong_by_class"] == found["evaluations"][1]["wrong_by_class"]);
  CHECK(found["evaluations"][0]["wrong"] == json_of({"eval", base, "--data", shop.folder()})["wrong"]);

  REQUIRE(run({"lora", "merge", base, shop / "twos", "-o", shop / "merged.safetensors"}).status == 0);
  CHECK(text_of(base) == before);
  CHECK(text_of(shop / "merged.safetensors") != before);
  CHECK(json_of({"eval", shop / "merged.safetensors", "--data", shop.folder()})["wrong_by_class"] ==
        found["wrong_by_class"]);
  lowrank::save_mlp(shop / "wide.safetensors", lowrank::load_mlp<double>(base));
  const Outcome merged =
      run({"lora", "merge", shop / "wide.safetensors", shop / "twos", "-o", shop / "narrow.safetensors"});
  CHECK(merged.err.find("wide.safetensors holds F64, and the merged network F32") != std::string::npos);
  CHECK(text_of(shop / "narrow.safetensors") == text_of(shop / "merged.safetensors"));

  const auto info = json_of({"lora", "info", shop / "twos"});
  CHECK(info["rank"] == 1);
  CHECK(info["parameters"] == trained["trainable_parameters"]);
  CHECK(info["layers"].size() == 3);
  CHECK(info["layers"][1]["name"] == "linear2");
  CHECK(info["base"] == base);
  CHECK(run({"lora", "info", shop / "twos"}).out.find("linear3") != std::string::npos);
}

TEST_CASE("lora: several adapters over one base; layers, initializations and classes are chosen") {
  const Workshop shop;
  const std::string base = shop.trained();
  const auto some = json_of(shop.lora("base.safetensors", "a", {"--layers", "linear1,linear3", "--rank", "2"}));
  CHECK(some["trainable_parameters"] == 2 * (16 + 8) + 2 * (5 + 10));
  for (const char* init : {"kaiming", "pissa"})
    CHECK(json_of(shop.lora("base.safetensors", init, {"--init", init, "--classes", "0,3", "--steps", "5"}))["steps"] ==
          5);
  const auto found =
      json_of({"eval", "--adapter", shop / "a", "--adapter", shop / "pissa", base, "--data", shop.folder()});
  CHECK(found["evaluations"].size() == 3);
  CHECK(found["evaluations"][2]["adapter"] == shop / "pissa");
  const Outcome text = run(shop.lora("base.safetensors", "b"));
  CHECK(text.out.find("52 of 241 parameters: 21.577 %") != std::string::npos);
  CHECK(text.out.find("unchanged to the bit") != std::string::npos);
}

TEST_CASE("eval, lora: bad input") {
  const Workshop shop;
  const std::string base = shop.trained();
  const Arguments before = shop.out.names();
  check_refused({"lora"}, 2, {"train, merge or info"});
  check_refused({"lora", "melt"}, 2, {"lora melt"});
  check_refused({"lora", "train", base, "--data", shop.folder()}, 2, {"-o"});
  check_refused(shop.lora("none.safetensors", "n"), 3, {"none.safetensors"});
  check_refused(shop.lora("base.safetensors", "n", {"--rank", "6"}), 2, {"rank 6", "linear2"});
  check_refused(shop.lora("base.safetensors", "n", {"--classes", "7"}), 3, {shop.folder(), "class 7"});
  check_refused(shop.lora("base.safetensors", "n", {"--classes", "10"}), 2, {"--classes 10", "0 to 9"});
  check_refused(shop.lora("base.safetensors", "n", {"--layers", "linear9"}), 2, {"linear9"});
  check_refused(shop.lora("base.safetensors", "base.safetensors", {}), 3, {"base.safetensors", "not a folder"});
  CHECK(shop.out.names() == before);
  check_refused({"eval", base, "--data", shop.folder(), "--adapter", shop / "none"}, 3, {"none"});
  check_refused({"eval", base, "--data", shop.folder(), "--adapter", shop / "a", "--adapter", shop / "a"}, 2,
                {"--adapter", "twice"});
  check_refused({"lora", "info", shop / "none"}, 3, {"none"});

  const TestFolder larger;  // pictures with a column more
  write_split(larger, "train", 60, 1);
  write_split(larger, "t10k", 40, 1);
  for (const auto& [stem, count] : {std::pair(std::string("train"), 60U), {"t10k", 40U}}) {
    const std::string name = stem + "-images-idx3-ubyte",
                      pictures = big_endian(2051) + big_endian(count) + big_endian(side) + big_endian(side + 1) +
                                 text_of(larger / name).substr(16) + std::string(count * side, '\0');
    larger.write(name, pictures);
  }
  const Arguments both{base, larger.path().string(), "20 pixels", "16 inputs"};
  check_refused({"eval", base, "--data", larger.path().string()}, 3, both);
  check_refused({"lora", "train", base, "--data", larger.path().string(), "-o", shop / "n"}, 3, both);

  REQUIRE(run(shop.lora("base.safetensors", "a", {"--steps", "2"})).status == 0);
  REQUIRE(run(shop.train("same_shape.safetensors", {"--seed", "9"})).status == 0);
  REQUIRE(run({"train", "--data", shop.folder(), "--hidden", "7,5", "-o", shop / "other.safetensors"}).status == 0);
  for (const char* other : {"same_shape.safetensors", "other.safetensors"}) {
    check_refused({"eval", shop / other, "--data", shop.folder(), "--adapter", shop / "a"}, 3, {"a"});
    check_refused({"lora", "merge", shop / other, shop / "a", "-o", shop / "m.safetensors"}, 3, {"a"});
  }
  CHECK(!std::filesystem::exists(shop / "m.safetensors"));
}
