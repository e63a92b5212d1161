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
const std::map<std::string, std::set<std::string>> allowed = {
    {"core", {}},
    {"cpu", {"core"}},
    {"io", {"core"}},
    {"op", {"core", "io"}},
    {"gen", {"core", "io", "op"}},
    {"svd", {"core", "op"}},
    {"factor", {"core", "op", "svd"}},
    {"nn", {"core", "io", "op", "gen", "svd", "factor"}},
};

}  // namespace

TEST_CASE("layers: includes go downward only, and no algorithm names a device") {
  const std::regex include("#include <lowrank/([a-z]+)/");
  const std::regex device(R"(\b(cuda|HostDevice|HostPrimitives|cblas_|LAPACKE_)\b)");
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(SOURCE_ROOT) + "/lowrank")) {
    const std::string ending = entry.path().extension();
    if (ending != ".cpp" && ending != ".hpp") continue;
    const std::string layer = entry.path().parent_path().filename();
    if (layer == "lowrank") continue;  // lowrank.hpp includes everything
    ++files;
    REQUIRE_MESSAGE(allowed.count(layer) == 1, entry.path().string());
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch found;
      CAPTURE(entry.path().string());
      CAPTURE(line);
      if (std::regex_search(line, found, include)) {
        const std::string target = found[1];
        CHECK((target == layer || allowed.at(layer).count(target) == 1));
      }
      const bool algorithm = layer == "op" || layer == "svd" || layer == "factor" || layer == "nn";
      if (algorithm) CHECK(!std::regex_search(line, device));
    }
  }
  CHECK(files > 60);
}
