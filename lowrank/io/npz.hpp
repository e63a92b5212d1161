#pragma once

#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/npy.hpp>

namespace lowrank {

/// A zip archive of npy files, as numpy.savez and savez_compressed write it; zip64 too. Members are stored or deflated;
/// their checksums are verified on reading.
class NpzFile {
 public:
  struct Member {
    std::string name;  ///< without ".npy"
    Index header_offset = 0, packed_size = 0, size = 0;
    std::uint32_t crc = 0;
    int method = 0;
  };

  /// Reads the central directory. Throws Error: no or damaged directory, encrypted, several disks, the same name twice.
  explicit NpzFile(FileBytes file);

  const std::vector<Member>& members() const { return members_; }

  /// The array of that name (or of the only member, if `name` is empty). Throws Error listing the names when there is
  /// none such.
  DenseArray load(const std::string& name = {}) const;
  /// Its npy file.
  FileBytes bytes(const std::string& name) const { return unpack(find(name)); }

 private:
  const Member& find(const std::string& name) const;
  FileBytes unpack(const Member& member) const;

  FileBytes file_;
  std::vector<Member> members_;
};

bool is_zip(const FileBytes& file);

/// Writes a npz archive of stored members, one after another; whole or not at all. numpy.load reads it.
class NpzWriter {
 public:
  explicit NpzWriter(const std::string& path) : file_(path) {}

  /// Adds an array in `order` (the view's own by default is the fastest); with `dimensions` 1, a view of one column
  /// becomes a 1-D array.
  template <Real T>
  void add(const std::string& name, MatrixView<const T> values, Order order, int dimensions = 2);
  template <Real T>
  void add(const std::string& name, MatrixView<const T> values) {
    add<T>(name, values, values.order());
  }

  /// Writes the directory and makes the file appear.
  void commit();

 private:
  AtomicFile file_;
  std::vector<NpzFile::Member> members_;
};

}  // namespace lowrank
