#pragma once

#include <string>

void report_skip(const std::string& reason);

/// Leaves the test case and counts it as skipped, with the reason.
#define SKIP(reason)     \
  do {                   \
    report_skip(reason); \
    return;              \
  } while (false)
