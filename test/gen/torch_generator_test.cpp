#include <fstream>
#include <lowrank/gen/torch_generator.hpp>
#include <nlohmann/json.hpp>

#include "gen/gen_test_data.hpp"
#include "gen_check.hpp"

using lowrank::Index;
using lowrank::TorchGenerator;

namespace {

const nlohmann::json& reference() {
  static const nlohmann::json data = nlohmann::json::parse(std::ifstream(GEN_TEST_DATA "/torch_generator.json"));
  return data;
}

template <class T>
std::vector<T> normals(TorchGenerator& generator, std::size_t count) {
  std::vector<T> values(count);
  generator.normal(values);
  return values;
}

template <class T>
std::vector<T> uniforms(TorchGenerator& generator, std::size_t count, T from = 0, T to = 1) {
  std::vector<T> values(count);
  generator.uniform(values, from, to);
  return values;
}

template <class T>
void check_exact(const std::vector<T>& found, const nlohmann::json& expected) {
  CHECK(found == expected.get<std::vector<T>>());
}

template <class T>
void check_close(const std::vector<T>& found, const nlohmann::json& expected) {
  const auto wanted = expected.get<std::vector<T>>();
  REQUIRE(found.size() == wanted.size());
  const double tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-14;
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(found[i] - wanted[i]) <= tolerance * std::abs(wanted[i]));
  }
}

}  // namespace

TEST_CASE("TorchGenerator: float, against torch") {
  for (const auto& [seed, wanted] : reference().at("float").items()) {
    CAPTURE(seed);
    TorchGenerator generator(std::stoull(seed));
    check_close(normals<float>(generator, 15), wanted.at("randn_15"));
    check_close(normals<float>(generator, 16), wanted.at("randn_16"));
    check_close(normals<float>(generator, 20), wanted.at("randn_20"));
    check_close(normals<float>(generator, 37), wanted.at("randn_37"));
    check_exact(uniforms<float>(generator, 5), wanted.at("rand_5"));
    check_close(normals<float>(generator, 3), wanted.at("randn_3_after"));
    check_exact(generator.randperm(12), wanted.at("randperm_12"));
    check_exact(uniforms<float>(generator, 4, -1, 1), wanted.at("uniform_pm1_4"));
  }
}

TEST_CASE("TorchGenerator: double and mixed, against torch") {
  for (const auto& [seed, wanted] : reference().at("mixed").items()) {
    CAPTURE(seed);
    TorchGenerator generator(std::stoull(seed));
    check_close(normals<double>(generator, 15), wanted.at("randn64_15"));
    check_close(normals<double>(generator, 16), wanted.at("randn64_16"));
    check_close(normals<double>(generator, 37), wanted.at("randn64_37"));
    check_exact(uniforms<double>(generator, 5), wanted.at("rand64_5"));
    check_close(normals<double>(generator, 3), wanted.at("randn64_3_after"));
    check_close(normals<float>(generator, 4), wanted.at("randn32_4_after"));
    check_close(normals<float>(generator, 19), wanted.at("randn32_19"));
    check_exact(uniforms<double>(generator, 4, -1, 1), wanted.at("uniform64_pm1_4"));
    check_exact(uniforms<float>(generator, 4, -0.036F, 0.0125F), wanted.at("uniform32_4"));
    check_exact(generator.randperm(33), wanted.at("randperm_33"));
    for (const auto& word : wanted.at("random64_3"))  // Tensor.random_() drops the sign bit.
      CHECK((generator.random64() & ~(std::uint64_t{1} << 63)) == word.get<std::uint64_t>());
  }
}

TEST_CASE("TorchGenerator: the initial weights of linear layers, to the bit") {
  const nlohmann::json& init = reference().at("init");
  TorchGenerator generator(0);
  const auto check = [&](const std::string& name, std::size_t count, int fan_in) {
    CAPTURE(name);
    const auto bound = static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)));
    const std::vector<float> values = uniforms<float>(generator, count, -bound, bound);
    const nlohmann::json& wanted = init.at(name);
    check_exact(std::vector<float>(values.begin(), values.begin() + 4), wanted.at("first"));
    check_exact(std::vector<float>(values.end() - 2, values.end()), wanted.at("last"));
    double sum = 0, squares = 0;
    for (const float value : values) {
      sum += static_cast<double>(value);
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    CHECK(sum == doctest::Approx(wanted.at("sum").get<double>()).epsilon(1e-10));
    CHECK(squares == doctest::Approx(wanted.at("sumsq").get<double>()).epsilon(1e-12));
  };
  check("linear1.weight", 784 * 1000, 784);
  check("linear1.bias", 1000, 784);
  check("linear2.weight", 1000 * 2000, 1000);
  check("linear2.bias", 2000, 1000);
  check("linear3.weight", 2000 * 10, 2000);
  check("linear3.bias", 10, 2000);
}

TEST_CASE("TorchGenerator: the order of a shuffled loader's epochs") {
  for (const auto& [seed, epochs] : reference().at("loader").items()) {
    TorchGenerator generator(std::stoull(seed));
    for (const auto& epoch : epochs) check_exact(generator.epoch_order(20), epoch);
  }
}

TEST_CASE("TorchGenerator: seeding") {
  TorchGenerator generator(7), wide((std::uint64_t{1} << 32) + 7);
  CHECK(generator.random64() == wide.random64());  // torch uses the low 32 bits.
  generator.normal();                              // leaves a normal behind, which a new seed forgets
  generator.seed(7);
  TorchGenerator fresh(7);
  CHECK(generator.normal() == fresh.normal());
  CHECK(TorchGenerator(8).random() != TorchGenerator(7).random());
}

TEST_CASE_TEMPLATE("TorchGenerator: normals read in pieces and skipped", T, float, double) {
  for (const Index total : {0, 1, 15, 16, 17, 31, 32, 33, 47, 100}) {
    CAPTURE(total);
    TorchGenerator whole(5), pieces(5), skipped(5);
    const std::vector<T> wanted = normals<T>(whole, static_cast<std::size_t>(total));
    std::vector<T> found(wanted.size());
    lowrank::TorchNormalStream<T> stream(pieces, total);
    for (std::size_t at = 0; at < found.size(); at += 7)
      stream.read(std::span<T>(found).subspan(at, std::min<std::size_t>(7, found.size() - at)));
    CHECK(found == wanted);
    skipped.skip_normal<T>(total);
    const std::uint64_t next = whole.random64();
    CHECK(pieces.random64() == next);
    CHECK(skipped.random64() == next);
    T one{};
    CHECK_THROWS_AS(stream.read(std::span<T>(&one, 1)), std::invalid_argument);
  }
}

TEST_CASE("TorchGenerator: permutations of any length, and of none") {
  TorchGenerator generator(1);
  CHECK(generator.randperm(0).empty());
  CHECK(generator.randperm(1) == std::vector<Index>{0});
  auto order = generator.randperm(1000);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (Index i = 0; i < 1000; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
  CHECK(gen_check::contains(gen_check::refusal([&] { generator.randperm(-1); }), "n = -1"));
  CHECK(gen_check::contains(gen_check::refusal([&] { generator.randperm(Index{1} << 40); }), "n = 1099511627776"));
  CHECK_THROWS_AS((lowrank::TorchNormalStream<float>(generator, -1)), std::invalid_argument);
}
