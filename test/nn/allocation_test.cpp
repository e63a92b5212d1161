#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <lowrank/core/sanitizers.hpp>

#include "nn_check.hpp"

// Every allocation of the test program is counted here, those of the libraries (OpenMP's) too.

#if defined(LOWRANK_ADDRESS_SANITIZER)

#include "skip.hpp"

TEST_CASE("training allocates nothing between the steps of an epoch") {
  SKIP("the address sanitizer has allocation functions of its own");
}

#else

namespace {

std::atomic<long> allocations{0};

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}

using namespace nn_check;

namespace {

/// Allocations between the reports of steps 3 and 40 of one epoch.
template <class Train>
long allocations_between(Train&& train) {
  long first = -1, last = -1;
  train([&](const StepReport& report) {
    if (report.step == 3) first = allocations;
    if (report.step == 40) last = allocations;
    return Continue::yes;
  });
  REQUIRE(first > 0);
  REQUIRE(last > 0);
  return last - first;
}

}  // namespace

TEST_CASE("the count of allocations counts") {
  long before = allocations;
  const Matrix<float> some(30, 30);
  CHECK(allocations > before);
  before = allocations;
  const std::vector<float> others(30);
  CHECK(allocations > before);
}

TEST_CASE("training allocates nothing between the steps of an epoch") {
  for (const Index batch : {10, 150}) {
    const Dataset data = dataset(50 * batch);
    RandomSource random(RandomKind::philox, 2);
    Mlp<float> mlp = network({25, 300, 200, 4});
    CAPTURE(batch);
    CHECK(allocations_between([&](auto on_step) { train(mlp, data, random, {.batch = batch, .on_step = on_step}); }) ==
          0);
    for (const LoraInit init : {LoraInit::gaussian, LoraInit::pissa}) {
      LoraAdapter<float> adapter(mlp, {.rank = 2, .init = init}, random);
      CHECK(allocations_between([&](auto on_step) {
              train_adapter(mlp, adapter, data, random, {.batch = batch, .on_step = on_step});
            }) == 0);
    }
  }
}

#endif
