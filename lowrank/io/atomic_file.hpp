#pragma once

#include <cstddef>
#include <lowrank/core/types.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lowrank {

/// Whether commit() waits until the data are on the disk.
enum class Durability { cached, on_disk };

/// An output file that is written whole or not at all. Data go to a temporary file in the target's folder;
/// commit() renames it over the target; without commit() the destructor removes it. SIGINT, SIGTERM and
/// SIGHUP remove it too and then act as before (an ignored signal stays ignored, a handler installed earlier is
/// called). A target that exists and is no regular file (/dev/stdout, /dev/null, a pipe) is written directly. A
/// symbolic link stays, and the file it names is replaced, or made where it does not exist yet.
/// Throws Error naming the target: folder missing, a folder itself, links in a circle, permission, disk full.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, Index bytes);
  void write(std::string_view text) { write(text.data(), static_cast<Index>(text.size())); }
  void write(std::span<const std::byte> bytes) { write(bytes.data(), static_cast<Index>(bytes.size())); }

  /// Takes the disk space for a file of `bytes` beforehand, where the filesystem can: a full disk is then
  /// reported at the start and not after an hour.
  void reserve(Index bytes);

  /// Bytes written so far.
  Index position() const { return position_; }
  const std::string& path() const { return path_; }

  /// Flushes and closes, so that commit() only renames: for files that belong together, all of which are completed
  /// before the first one is committed. Nothing can be written afterwards.
  void complete(Durability durability = Durability::cached);

  /// Completes the file, unless that is done, and renames it.
  void commit(Durability durability = Durability::cached);

 private:
  void write_through(const std::byte* data, std::size_t bytes);
  void flush();
  void discard() noexcept;
  [[noreturn]] void fail(const char* what);

  std::string path_, target_, temporary_;  ///< as named; links resolved; empty when written directly
  std::vector<std::byte> buffer_;
  Index position_ = 0;
  int file_ = -1, slot_ = -1;
  bool complete_ = false;
};

}  // namespace lowrank
