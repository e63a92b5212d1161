#include <fmt/core.h>
#include <hwy/targets.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <lowrank/core/environment.hpp>
#include <lowrank/cpu/blas.hpp>

namespace lowrank {
namespace {

/// Whether the program was started by naming the loader, which /proc/self/exe then is.
bool is_the_loader(const std::filesystem::path& program) {
  const std::string name = program.filename().string();
  return name.starts_with("ld-") || name.starts_with("ld.so");
}

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

std::string_view wanted_core() {
#if HWY_ARCH_X86
  const auto has = [targets = hwy::SupportedTargets()](auto target) { return (targets & target) != 0; };
  return blas::better_core(openblas_get_config(), openblas_get_corename(), has(HWY_AVX2), has(HWY_AVX3));
#else
  return "";
#endif
}

}  // namespace

std::vector<EnvironmentVariable> wanted_environment() {
  std::vector<EnvironmentVariable> wanted;
  const std::string_view core = is_set("OPENBLAS_CORETYPE") ? "" : wanted_core();
  if (!core.empty()) wanted.push_back({"OPENBLAS_CORETYPE", std::string(core)});
  if (!is_set("OMP_WAIT_POLICY") && !is_set("GOMP_SPINCOUNT")) wanted.push_back({"GOMP_SPINCOUNT", "2000"});
  return wanted;
}

std::string blas_in_use() {
  const std::string_view config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  return fmt::format("{} for {}", config.substr(0, config.find(' ', config.find(' ') + 1)), openblas_get_corename());
}

void restart_with_wanted_environment(char** argv) {
  const std::vector<EnvironmentVariable> wanted = wanted_environment();
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (wanted.empty() || error || is_the_loader(program)) return;
  for (const EnvironmentVariable& each : wanted) setenv(each.name.c_str(), each.value.c_str(), 1);
  // By its name, which the system's lists of processes show; where the file has gone, by what is left of it.
  execv(program.c_str(), argv);
  execv("/proc/self/exe", argv);
}

}  // namespace lowrank
