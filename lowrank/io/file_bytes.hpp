#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <lowrank/core/types.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lowrank {

/// The bytes of a file: a regular file is mapped (private, so writing to the bytes never reaches the file),
/// anything else is read to its end. Also a part of a file, or bytes that were unpacked from one.
class FileBytes {
 public:
  /// Throws Error: missing, unreadable, a folder, empty, or too large for the memory (pipes only).
  static FileBytes open(const std::string& path);

  /// Bytes in memory that are called `name` in messages; `memory` keeps them alive.
  FileBytes(std::string name, std::shared_ptr<void> memory, std::span<const std::byte> bytes)
      : name_(std::move(name)), memory_(std::move(memory)), bytes_(bytes) {}
  static FileBytes copy_of(std::string name, std::span<const std::byte> bytes);

  /// `count` bytes from `offset` on, under another name. The range must lie within.
  FileBytes part(std::string name, Index offset, Index count) const;

  const std::string& name() const { return name_; }
  Index size() const { return static_cast<Index>(bytes_.size()); }
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::byte* data() const { return bytes_.data(); }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  bool starts_with(std::string_view magic) const { return text().substr(0, magic.size()) == magic; }

  /// Keeps the bytes alive; they may be written to through it.
  const std::shared_ptr<void>& memory() const { return memory_; }

  /// Whether the bytes are a whole regular file that can be opened again by name.
  bool is_whole_file() const { return whole_file_; }

 private:
  std::string name_;
  std::shared_ptr<void> memory_;
  std::span<const std::byte> bytes_;
  bool whole_file_ = false;
};

/// Little-endian numbers from bytes of any alignment.
template <class Number>
Number read_number(const std::byte* from) {
  static_assert(std::endian::native == std::endian::little, "the readers assume a little-endian machine");
  Number value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Bytes of unknown number, gathered in pieces. Growing checks the memory at hand before asking for it.
class ByteBuffer {
 public:
  explicit ByteBuffer(std::string name) : name_(std::move(name)) {}

  /// Room for at least `count` more bytes; throws Error when the memory does not suffice.
  std::span<std::byte> room(Index count);
  void advance(Index count) { size_ += count; }
  Index size() const { return size_; }

  /// Hands the bytes over; the buffer is empty afterwards.
  FileBytes finish();

 private:
  std::string name_;
  std::shared_ptr<void> memory_;
  Index size_ = 0, capacity_ = 0;
};

/// A piece of a file as a message shows it: cut to a few characters, unprintable ones escaped.
std::string in_quotes(std::string_view text);

}  // namespace lowrank
