#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "core/source_root.hpp"

namespace {

/// Which layers each layer may include beside itself: the table of lowrank/README.md.
const std::map<std::string, std::set<std::string>> allowed_layers = {
    {"core", {}},
    {"cpu", {"core"}},
    {"pch", {"core"}},   // what is precompiled for all of them
    {"cuda", {"core"}},  // and nothing includes it: it is found at run time
    {"io", {"core"}},
    {"op", {"core", "io"}},
    {"gen", {"core", "io", "op"}},
    {"svd", {"core", "op"}},
    {"factor", {"core", "op", "svd"}},
    {"nn", {"core", "io", "op", "gen", "svd", "factor"}},
};

/// Lines on which an algorithm's file may name the host: a user who says nothing gets it.
bool names_a_default(const std::string& line) {
  return line.find("Device& device = host_device()") != std::string::npos ||
         line.find("virtual Device& device() const { return host_device(); }") != std::string::npos;
}

}  // namespace

TEST_CASE("layers: includes go downward only, and no algorithm names a device") {
  const std::regex include("#include <lowrank/([a-z]+)/");
  // The kinds of devices and their libraries, and a question which of them one is given.
  const std::regex device(
      R"(\b(cuda|cublas\w*|cusolver\w*|host_device|Host(Device|Primitives|Training)|cblas_\w+|LAPACKE_\w+)\b|device\(\)\.name\(\) *[!=]=)");
  int defaults = 0;
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(SOURCE_ROOT) + "/lowrank")) {
    const std::string ending = entry.path().extension();
    if (ending != ".cpp" && ending != ".hpp") continue;
    const std::string layer = entry.path().parent_path().filename();
    if (layer == "lowrank") continue;  // lowrank.hpp includes everything
    ++files;
    REQUIRE_MESSAGE(allowed_layers.count(layer) == 1, entry.path().string());
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch found;
      CAPTURE(entry.path().string());
      CAPTURE(line);
      if (std::regex_search(line, found, include)) {
        const std::string target = found[1];
        CHECK((target == layer || allowed_layers.at(layer).count(target) == 1));
      }
      const bool algorithm = layer == "op" || layer == "gen" || layer == "svd" || layer == "factor" || layer == "nn";
      if (!algorithm || !std::regex_search(line, device)) continue;
      CHECK(names_a_default(line));
      ++defaults;
    }
  }
  CHECK(files > 60);
  CHECK(defaults == 6);  // each new one is to be looked at
}
