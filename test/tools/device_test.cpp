#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <lowrank/core/device.hpp>
#include <lowrank/core/environment.hpp>
#include <lowrank/core/error.hpp>
#include <map>

#include "environment.hpp"
#include "tiny_pictures.hpp"
#include "tools/command_path.hpp"

using check::Environment;

namespace {

constexpr const char* library = "LOWRANK_CUDA_LIBRARY";

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The computing subcommands, each with what it needs, on a device.
std::vector<Arguments> computing(const Workshop& shop, const std::string& W, const std::string& device) {
  std::vector<Arguments> calls{
      {"rank", W},
      {"svd", W, "--rank", "2", "-o", shop / "S.npz"},
      {"factor", W, "--rank", "2", "-o", shop / "F.npz"},
      {"verify", W, shop / "F.npz"},
      shop.train("net.safetensors"),
      {"eval", shop / "net.safetensors", "--data", shop.folder()},
      shop.lora("net.safetensors", "side", {"--steps", "3"}),
      {"lora", "merge", shop / "net.safetensors", shop / "side", "-o", shop / "merged.safetensors"}};
  for (Arguments& call : calls) call.insert(call.end(), {"--device", device});
  return calls;
}

}  // namespace

TEST_CASE("device: names that are none are refused as usage") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999999999999", "CPU"})
    check_refused({"rank", W, "--device", name}, 2, {"--device", name, "cpu, cuda, cuda:N or auto"});
  for (const char* name : {"gpu", "", "cuda:", "cuda:-1"})
    CHECK_THROWS_AS(lowrank::Device::open(name), std::invalid_argument);
  CHECK(&lowrank::Device::open("cpu") == &lowrank::host_device());
}

TEST_CASE("device: cpu is the default, and the same as none") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(60, 50));
  auto plain = run({"svd", W, "--rank", "2", "--json"}).json(),
       named = run({"svd", W, "--rank", "2", "--json", "--device", "cpu"}).json();
  CHECK(plain["device"] == "cpu");
  plain.erase("seconds"), named.erase("seconds");
  CHECK(plain == named);
}

TEST_CASE("device: a library that is missing, is none, or is of another version is refused with the reason") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  const auto refused = [&](const std::string& path, const std::vector<std::string>& words) {
    const Environment with(library, path);
    check_refused({"rank", W, "--device", "cuda"}, 3, words);
    const Outcome list = run({"devices", "--json"});
    CHECK(list.status == 0);
    const auto devices = list.json().at("devices");
    CHECK(devices.size() == 2);
    CHECK(devices[0]["usable"] == true);
    CHECK(devices[1]["usable"] == false);
    for (const std::string& word : words)
      if (word != "--device cuda") CHECK_MESSAGE(says(devices[1]["reason"], word), word);
  };
  refused(folder / "none.so", {"--device cuda", "none.so", "No such file"});
  refused(folder.write("text.so", std::string(5000, 'x')), {"text.so", "ELF header"});
  refused(LOWRANK_LIBRARY, {"no GPU library of lowrank"});
  refused(OLD_PLUGIN, {"0.0.9", "installed together"});
  refused(OTHER_INTERFACE_PLUGIN, {"interface 99", "installed together"});
}

TEST_CASE("device: without a driver the answer comes at once, with one there the library is looked for") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  if (run({"devices"}).out.find("no NVIDIA driver") != std::string::npos)
    for (const char* name : {"cuda", "cuda:0", "cuda:7"}) {
      check_refused({"rank", W, "--device", name}, 3, {name, "no NVIDIA driver", "libcuda.so.1"});
      check_refused({"rank", folder / "none.npy", "--device", name}, 3, {"no NVIDIA driver"});
    }
  // Any library does for a driver that nobody calls.
  std::filesystem::copy_file(GUARDED_PLUGIN, folder / "libcuda.so.1");
  const Environment with("LD_LIBRARY_PATH", folder.path().string());
  const Outcome outcome = run({"rank", W, "--device", "cuda"});
  CHECK(outcome.status == 3);
  CHECK_FALSE(says(outcome.err, "libcuda.so.1"));
  CHECK(lines_of(outcome.err) == 1);
}

TEST_CASE("device: an index beyond the devices, a device that cannot be used, none at all") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  const Environment with(library, GUARDED_PLUGIN);
  check_refused({"rank", W, "--device", "cuda:2"}, 3, {"cuda:2", "there are 2", "cuda:0 to cuda:1"});
  check_refused({"rank", W, "--device", "cuda:1"}, 3, {"cuda:1", "Old", "below 8.0"});
  const auto devices = run({"devices", "--json"}).json().at("devices");
  REQUIRE(devices.size() == 3);
  CHECK(devices[1]["name"] == "cuda:0");
  CHECK(devices[1]["model"] == "Guarded");
  CHECK(devices[1]["usable"] == true);
  CHECK(devices[1]["available"] == 1 << 29);
  CHECK(devices[2]["usable"] == false);
  CHECK(says(run({"devices"}).out, "below 8.0"));
  {
    const Environment one("GUARDED_DEVICES", "1");
    check_refused({"rank", W, "--device", "cuda:1"}, 3, {"cuda:1", "the only one is cuda:0"});
  }
  for (const auto& [count, reason] :
       std::map<std::string, std::string>{{"0", "there is no CUDA device"}, {"-", "the driver does not answer"}}) {
    const Environment none("GUARDED_DEVICES", count);
    check_refused({"rank", W, "--device", "cuda"}, 3, {"--device cuda", reason});
    check_refused({"rank", W, "--device", "cuda:0"}, 3, {reason});
    CHECK(says(run({"devices"}).out, reason));
    const Outcome any = run({"rank", W, "--device", "auto", "--json"});
    CHECK(any.json()["device"] == "cpu");
    CHECK(says(any.err, reason));
  }
}

TEST_CASE("device: every computing subcommand works on a device, whose memory the host cannot touch") {
  const Workshop shop;
  const std::string W = shop.out.write("W.npy", rank_two(60, 40));
  const Environment with(library, GUARDED_PLUGIN);
  for (Arguments call : computing(shop, W, "cuda")) {
    call.push_back("--json");
    const Outcome outcome = run(call);
    CAPTURE(call[0]);
    CAPTURE(outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(outcome.json()["device"] == "guarded");
  }
  const Outcome any = run({"svd", W, "--rank", "2", "--device", "auto"});
  CHECK(says(any.err, "--device auto: guarded"));
  CHECK(says(any.out, "worked on by guarded"));
}

TEST_CASE("device: every computing subcommand refuses a device that is not there") {
  const Workshop shop;
  const std::string W = shop.out.write("W.npy", rank_two(60, 40));
  const Environment with(library, shop / "none.so");
  for (const Arguments& call : computing(shop, W, "cuda")) check_refused(call, 3, {"--device cuda", "none.so"});
  CHECK(shop.out.names() == std::vector<std::string>{"W.npy"});
}

TEST_CASE("device: the results on a device agree with the CPU's") {
  const Workshop shop;
  const std::string W = shop.out.write("W.npy", rank_two(60, 40));
  const Environment with(library, GUARDED_PLUGIN);
  const auto there = json_of({"svd", W, "--rank", "2", "--device", "cuda"}), here = json_of({"svd", W, "--rank", "2"});
  for (const int i : {0, 1})
    CHECK(there["singular_values"][i].get<double>() ==
          doctest::Approx(here["singular_values"][i].get<double>()).epsilon(1e-12));
  const Arguments steps{"--epochs", "40", "--log", shop / "there.csv"},
      same{"--epochs", "40", "--log", shop / "here.csv"};
  Arguments on_device = shop.train("there.safetensors", steps);
  on_device.insert(on_device.end(), {"--device", "cuda"});
  REQUIRE(run(on_device).status == 0);
  REQUIRE(run(shop.train("here.safetensors", same)).status == 0);
  // The guarded device is the host's arithmetic: the same bits, though the losses are read every hundred steps.
  CHECK(text_of(shop / "there.csv") == text_of(shop / "here.csv"));
  CHECK(text_of(shop / "there.safetensors") == text_of(shop / "here.safetensors"));
}

TEST_CASE("device: a sparse matrix on a device is refused, and a file read in blocks is copied there") {
  TestFolder folder;
  const Environment with(library, GUARDED_PLUGIN);
  const std::string S = folder.write("S.mtx", "%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 5\n3 2 -1\n");
  check_refused({"svd", S, "--rank", "1", "--device", "cuda"}, 3, {"S.mtx", "sparse", "cpu"});
  check_refused({"rank", S, "--device", "cuda"}, 3, {"S.mtx", "sparse", "cpu"});
  const std::string W = folder.write("W.npy", rank_two(60, 40));
  const auto json = json_of({"svd", W, "--rank", "2", "--memory", "1000", "--device", "cuda", "--quiet"});
  CHECK(json["device"] == "guarded");
  CHECK(json["relative_error"].get<double>() < 1e-12);
}

TEST_CASE("device: the command has the kernels that the processor can use, unless others are asked for") {
  const auto kernels = [] { return run({"devices", "--json"}).json().at("devices")[0].at("libraries"); };
  const bool chosen = std::getenv("OPENBLAS_CORETYPE") != nullptr;
  const Environment unset("OPENBLAS_CORETYPE", std::nullopt);
  const auto wanted = lowrank::wanted_environment();
  const auto core =
      std::find_if(wanted.begin(), wanted.end(), [](const auto& e) { return e.name.starts_with("OPEN"); });
  if (core != wanted.end())
    CHECK(says(kernels(), "for " + core->value));
  else if (!chosen)
    CHECK(kernels() == lowrank::blas_in_use());
  CHECK(says(run({"devices"}).out, kernels()));
#if defined(__x86_64__)
  const Environment asked("OPENBLAS_CORETYPE", "Prescott");
  // A build for one processor has no others.
  CHECK((says(kernels(), "for Prescott") || kernels() == lowrank::blas_in_use()));
#endif
}
