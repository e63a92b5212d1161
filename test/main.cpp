#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "device.hpp"
#include "guarded_device.hpp"
#include "skip.hpp"

namespace {

int skipped = 0;
std::string current;
unsigned failed = 0, tests_run = 0;

struct Counter : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override { failed = stats.numTestCasesFailed; }
  void test_case_start(const doctest::TestCaseData& test) override {
    ++tests_run;
    current = test.m_name;
  }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
DOCTEST_REGISTER_LISTENER("counter", 1, Counter);

lowrank::Device* under_test = &lowrank::host_device();

/// The suites that any device must pass. A touch of a guarded device's memory from the host is a SIGSEGV, which doctest
/// reports with the test case.
constexpr const char* device_suites =
    "*core/device_test.cpp,*core/factorization_test.cpp,*core/multiply_test.cpp,*core/norms_test.cpp,"
    "*core/primitives_test.cpp,*op/blocks_test.cpp,*op/compose_test.cpp,*op/dense_test.cpp,*svd/certificate_test.cpp,"
    "*svd/moved_test.cpp,*svd/orthonormalize_test.cpp,*svd/property_test.cpp,*svd/rank_test.cpp,*svd/shapes_test.cpp,"
    "*svd/wishes_test.cpp,*factor/factor_test.cpp,*factor/verify_test.cpp,*nn/checkpoint_test.cpp,"
    "*nn/gradient_test.cpp,*nn/layers_test.cpp,*nn/lora_file_test.cpp,*nn/lora_test.cpp,*nn/trainer_test.cpp";

/// Takes --device=NAME out of the arguments. 0: go on; else what the process is to return. Meson takes 77 for a skip.
int choose_device(int& argc, char** argv, doctest::Context& context) {
  constexpr std::string_view option = "--device=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with(option)) continue;
    const std::string_view name = word.substr(option.size());
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    context.addFilter("source-file", device_suites);
    try {
      under_test = name == "guarded" ? &guarded_device() : &lowrank::Device::open(name);
    } catch (const std::exception& error) {
      const char* required = std::getenv("LOWRANK_REQUIRE_CUDA");
      const bool must = required != nullptr && std::strcmp(required, "1") == 0;
      std::printf("%s: the suites on a device: %s\n", must ? "FAILED" : "skipped", error.what());
      return must ? 1 : 77;
    }
    std::printf("on the device %s\n", under_test->name().c_str());
  }
  return 0;
}

}  // namespace

lowrank::Device& check::device() { return *under_test; }

void report_skip(const std::string& reason) {
  ++skipped;
  std::printf("skipped: %s: %s\n", current.c_str(), reason.c_str());
}

int main(int argc, char** argv) {
  doctest::Context context;
  if (const int status = choose_device(argc, argv, context)) return status;
  context.applyCommandLine(argc, argv);
  const int status = context.run();
  if (context.shouldExit()) return status;
  std::printf("%u passed, %u failed, %d skipped\n", tests_run - failed - static_cast<unsigned>(skipped), failed,
              skipped);
  return status;
}
