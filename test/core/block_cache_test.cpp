#include <algorithm>
#include <cstdint>
#include <lowrank/core/sanitizers.hpp>
#include <lowrank/cpu/block_cache.hpp>
#include <thread>
#include <vector>

#include "../check.hpp"

using lowrank::BlockCache;

namespace {

constexpr std::size_t kib = 1024, mib = 1024 * kib;

}  // namespace

TEST_CASE("block cache: a block that was given back serves the next of about its size") {
  for (const std::size_t bytes : {200 * kib, 3 * mib}) {
    BlockCache cache(64 * mib);
    void* const first = cache.allocate(bytes).get();
    const auto again = cache.allocate(bytes - bytes / 8);
    CHECK(again.get() == first);
    CHECK(cache.held() == 0);
    // In use, so not to be given to another.
    const auto other = cache.allocate(bytes);
    CHECK(other.get() != first);
  }
}

TEST_CASE("block cache: neither a block too small nor one far too large is given") {
  BlockCache cache(64 * mib);
  const void* const block = cache.allocate(4 * mib).get();
  REQUIRE(cache.held() == 4 * mib);
  const auto larger = cache.allocate(4 * mib + 1), smaller = cache.allocate(2 * mib);
  CHECK(larger.get() != block);
  CHECK(smaller.get() != block);
  CHECK(cache.held() == 4 * mib);
}

TEST_CASE("block cache: memory is aligned and can be written to its end") {
  BlockCache cache(8 * mib);
  for (int round = 0; round < 2; ++round)
    for (const std::size_t bytes :
         {std::size_t{1}, std::size_t{65}, 128 * kib, 2 * mib - 1, 2 * mib, 2 * mib + 1, 9 * mib}) {
      const auto memory = cache.allocate(bytes);
      REQUIRE(memory != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(memory.get()) % (bytes >= 2 * mib ? 2 * mib : 64) == 0);
      std::fill_n(static_cast<char*>(memory.get()), bytes, 'x');
    }
}

TEST_CASE("block cache: holds no more than its capacity, and the oldest blocks go first") {
  BlockCache cache(8 * mib);
  {
    const auto a = cache.allocate(3 * mib), b = cache.allocate(4 * mib), c = cache.allocate(4 * mib);
    const auto large = cache.allocate(20 * mib);
  }
  // In the order in which they went back: the large one not at all, c, b, and a drove c out.
  CHECK(cache.held() == 8 * mib);
  cache.release();
  CHECK(cache.held() == 0);
  {
    std::vector<std::shared_ptr<void>> many;
    for (int i = 0; i < 200; ++i) many.push_back(cache.allocate(128 * kib));
  }
  CHECK(cache.held() <= 8 * mib);
  BlockCache none(0);
  { const auto block = none.allocate(mib); }
  CHECK(none.held() == 0);
}

TEST_CASE("block cache: what the system has not is nullptr, and the blocks held go back before that is said") {
  BlockCache cache(8 * mib);
  { const auto block = cache.allocate(mib); }
#if !defined(LOWRANK_ADDRESS_SANITIZER)  // It ends the program there.
  CHECK(cache.allocate(std::size_t{1} << 60) == nullptr);
  CHECK(cache.held() == 0);
#endif
}

TEST_CASE("block cache: several threads never have the same block at a time") {
  BlockCache cache(4 * mib);
  std::vector<char> spoilt(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < spoilt.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t round = 0; round < 300; ++round) {
        const std::size_t bytes = (128 + 16 * (round % 7)) * kib;
        const auto block = cache.allocate(bytes);
        auto* const numbers = static_cast<std::size_t*>(block.get());
        std::fill_n(numbers, bytes / sizeof(std::size_t), t);
        std::this_thread::yield();
        if (std::count(numbers, numbers + bytes / sizeof(std::size_t), t) !=
            std::ptrdiff_t(bytes / sizeof(std::size_t)))
          spoilt[t] = 1;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(std::count(spoilt.begin(), spoilt.end(), 1) == 0);
}
