#include "environment.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <lowrank/core/environment.hpp>
#include <lowrank/cpu/blas.hpp>

#include "check.hpp"

using check::Environment;

namespace {

bool wants(const std::string& name) {
  const auto wanted = lowrank::wanted_environment();
  return std::any_of(wanted.begin(), wanted.end(), [&](const auto& each) { return each.name == name; });
}

}  // namespace

TEST_CASE("environment: what the user has set stays") {
  {
    const Environment set("GOMP_SPINCOUNT", "7");
    CHECK_FALSE(wants("GOMP_SPINCOUNT"));
  }
  const Environment unset("GOMP_SPINCOUNT", std::nullopt), no_policy("OMP_WAIT_POLICY", std::nullopt);
  CHECK(wants("GOMP_SPINCOUNT"));
  {
    const Environment policy("OMP_WAIT_POLICY", "passive");
    CHECK_FALSE(wants("GOMP_SPINCOUNT"));
  }
  const Environment core("OPENBLAS_CORETYPE", "Prescott");
  CHECK_FALSE(wants("OPENBLAS_CORETYPE"));
}

TEST_CASE("environment: other kernels are wanted where OpenBLAS does not know the processor") {
  using lowrank::blas::better_core;
  const char* dynamic = "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY USE_OPENMP Prescott MAX_THREADS=64";
  CHECK(better_core(dynamic, "Prescott", true, true) == "SkylakeX");
  CHECK(better_core(dynamic, "Nehalem", true, false) == "Haswell");
  CHECK(better_core(dynamic, "Prescott", false, false) == "");
  for (const char* known : {"Haswell", "Zen", "SkylakeX", "Cooperlake", "Sandybridge", "neoversen1"})
    CHECK(better_core(dynamic, known, true, true) == "");
  CHECK(better_core("OpenBLAS 0.3.21 NO_LAPACKE USE_OPENMP Prescott MAX_THREADS=64", "Prescott", true, true) == "");
  CHECK(lowrank::blas::vector_bytes("Prescott") == 16);
  CHECK(lowrank::blas::vector_bytes("Zen") == 32);
  CHECK(lowrank::blas::vector_bytes("Cooperlake") == 64);
  const std::string found = lowrank::blas_in_use();
  CHECK(found.starts_with("OpenBLAS "));
  CHECK(check::contains(found, " for "));
}
