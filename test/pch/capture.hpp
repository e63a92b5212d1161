#pragma once

#include <doctest/doctest.h>

// CAPTURE for structured bindings too: clang before 16 lets no lambda capture them, and doctest's is one. The reference
// can be captured.
#undef CAPTURE
#define CAPTURE(x) LOWRANK_CAPTURE(DOCTEST_ANONYMOUS(captured_), x)
#define LOWRANK_CAPTURE(name, x) \
  const auto& name = x;          \
  INFO(#x " := ", name)
