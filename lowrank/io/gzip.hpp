#pragma once

#include <limits>
#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/file_bytes.hpp>
#include <memory>

namespace lowrank {

/// Whether the bytes begin like a gzip stream.
bool is_gzip(const FileBytes& file);

/// The unpacked bytes of a gzip file (of one or more members), under the same name. Throws Error when the stream is
/// damaged, truncated, followed by something else, or larger than the memory or `limit` bytes.
FileBytes gunzip(const FileBytes& file, Index limit = std::numeric_limits<Index>::max());

/// Unpacks a raw deflate stream that must give exactly `size` bytes (a zip member).
FileBytes inflate_raw(const FileBytes& packed, Index size);

/// Text that goes to a file as it is, or packed by gzip when the name ends in ".gz"; whole or not at all.
class TextFile {
 public:
  explicit TextFile(const std::string& path);
  ~TextFile();
  void write(std::string_view text);
  void commit();

 private:
  struct Packer;
  AtomicFile file_;
  std::unique_ptr<Packer> packer_;
};

}  // namespace lowrank
