#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace lowrank {

/// Blocks of memory that were given back, kept for those who want one of about their size next. The system clears every
/// page that it hands out, and an algorithm takes panels of the same few sizes again and again: without the cache that
/// is 8 to 14 % of a truncated SVD of 4096×4096 or 20000×1000. Several threads may use it; it must live longer than its
/// blocks.
class BlockCache {
 public:
  /// Holds at most `capacity` bytes that nobody uses; what was given back first goes first.
  explicit BlockCache(std::size_t capacity) : capacity_(capacity) { free_.reserve(most_blocks); }
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  ~BlockCache() { release(); }

  /// At least `bytes` (which is not 0), aligned to 64 and from 2 MiB on to 2 MiB, not cleared; nullptr where the system
  /// has none.
  std::shared_ptr<void> allocate(std::size_t bytes);

  /// Gives what nobody uses back to the system.
  void release();

  /// Bytes held that nobody uses.
  std::size_t held() const;

 private:
  static constexpr std::size_t most_blocks = 64;  // so that giving back needs no memory

  struct Block {
    void* memory;
    std::size_t size;
  };

  Block take(std::size_t size);
  void give_back(Block block);
  void drop_oldest();

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::vector<Block> free_;  // the oldest first
  std::size_t held_ = 0;
};

}  // namespace lowrank
