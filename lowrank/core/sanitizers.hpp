#pragma once

// Whether the address sanitizer is in the build: g++ defines a macro, clang has a feature.
#if defined(__SANITIZE_ADDRESS__)
#define LOWRANK_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOWRANK_ADDRESS_SANITIZER
#endif
#endif
