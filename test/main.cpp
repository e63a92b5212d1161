#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "skip.hpp"

namespace {

int skipped = 0;
std::string current;
unsigned failed = 0, run = 0;

struct Counter : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    failed = stats.numTestCasesFailed;
    run = stats.numTestCasesPassingFilters;
  }
  void test_case_start(const doctest::TestCaseData& test) override { current = test.m_name; }
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

}  // namespace

void report_skip(const std::string& reason) {
  ++skipped;
  std::printf("skipped: %s: %s\n", current.c_str(), reason.c_str());
}

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int status = context.run();
  if (context.shouldExit()) return status;
  std::printf("%u passed, %u failed, %d skipped\n", run - failed - static_cast<unsigned>(skipped), failed, skipped);
  return status;
}
