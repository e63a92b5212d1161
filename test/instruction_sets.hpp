#pragma once

#include <doctest/doctest.h>
#include <hwy/targets.h>

/// check() once for each instruction set that kernels are built for and this processor has.
template <class Check>
void for_each_instruction_set(const Check& check) {
  const auto use = [](std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  };
  for (const std::int64_t target : {std::int64_t{HWY_AVX3}, std::int64_t{HWY_AVX2}, std::int64_t{HWY_SSE4}}) {
    use(0);
    if ((hwy::SupportedTargets() & target) == 0) continue;
    use(target);
    CAPTURE(hwy::TargetName(target));
    check();
  }
  use(0);
}
