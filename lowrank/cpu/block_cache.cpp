#include <sys/mman.h>

#include <cstdlib>
#include <lowrank/cpu/block_cache.hpp>

namespace lowrank {
namespace {

// Sweeps over small pages spend their time on translating addresses.
constexpr std::size_t huge_page = std::size_t{2} << 20;

// Smaller ones malloc keeps well by itself.
constexpr std::size_t least_cached = std::size_t{128} << 10;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

std::shared_ptr<void> BlockCache::allocate(std::size_t bytes) {
  const std::size_t lines = round_up(bytes, 64), alignment = lines >= huge_page ? huge_page : 64;
  const std::size_t size = round_up(lines, alignment);
  if (size < least_cached) {
    void* memory = std::aligned_alloc(alignment, size);
    return memory == nullptr ? nullptr : std::shared_ptr<void>(memory, std::free);
  }
  Block block = take(size);
  if (block.memory == nullptr) {
    block = {std::aligned_alloc(alignment, size), size};
    if (block.memory == nullptr) {
      release();
      block.memory = std::aligned_alloc(alignment, size);
    }
    if (block.memory == nullptr) return nullptr;
    if (alignment == huge_page) madvise(block.memory, size, MADV_HUGEPAGE);
  }
  return {block.memory, [this, block](void*) { give_back(block); }};
}

/// The smallest one with room and at most a quarter too large; without memory where there is none.
BlockCache::Block BlockCache::take(std::size_t size) {
  const std::lock_guard lock(mutex_);
  const auto fits = [&](const Block& block) {
    return block.size >= size && block.size - size <= size / 4 && (size < huge_page) == (block.size < huge_page);
  };
  auto best = free_.end();
  for (auto block = free_.begin(); block != free_.end(); ++block)
    if (fits(*block) && (best == free_.end() || block->size < best->size)) best = block;
  if (best == free_.end()) return {nullptr, 0};
  const Block found = *best;
  held_ -= found.size;
  free_.erase(best);
  return found;
}

void BlockCache::give_back(Block block) {
  if (block.size > capacity_) return std::free(block.memory);
  const std::lock_guard lock(mutex_);
  while (held_ + block.size > capacity_ || free_.size() == most_blocks) drop_oldest();
  free_.push_back(block);
  held_ += block.size;
}

void BlockCache::release() {
  const std::lock_guard lock(mutex_);
  while (!free_.empty()) drop_oldest();
}

std::size_t BlockCache::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

void BlockCache::drop_oldest() {
  std::free(free_.front().memory);
  held_ -= free_.front().size;
  free_.erase(free_.begin());
}

}  // namespace lowrank
