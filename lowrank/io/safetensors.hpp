#pragma once

#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/file_layout.hpp>
#include <map>
#include <optional>

namespace lowrank {

class AtomicFile;

/// A tensor of a safetensors file: where its bytes lie in the data, which begin after the header.
struct TensorInfo {
  std::string name;
  std::string dtype;  ///< as in the file: "F64", "F32", "F16", "BF16", "I64", ...
  std::vector<Index> shape;
  Index begin = 0, end = 0;
};

bool is_safetensors(const FileBytes& file);

/// A safetensors file, read strictly as the reference does (huggingface/safetensors, tensor.rs).
class SafetensorsFile {
 public:
  static SafetensorsFile open(const std::string& path) { return SafetensorsFile(FileBytes::open(path)); }

  /// Throws Error: truncated, a header that is too long or no JSON, a shape that overflows or does not fit its offsets,
  /// holes and overlaps, an unknown dtype, a name given twice.
  explicit SafetensorsFile(FileBytes file);

  /// In the order of the data.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return index_.count(name) > 0; }

  /// Throws Error listing the names when there is none such; an empty name stands for the only tensor.
  const TensorInfo& tensor(const std::string& name) const;
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;

  /// A tensor of at most two dimensions as a row-major matrix; one dimension is one column, none is 1x1. Aligned F64
  /// and F32 are used where they lie; F16 and BF16 become float, integers and BOOL double, with a note. Throws Error
  /// for other dtypes and shapes.
  DenseArray load(const std::string& name) const;

  /// Likewise, converted to T whatever the file's dtype.
  template <Real T>
  Matrix<T> matrix(const std::string& name) const;

  /// Where a tensor of T lies in the file; nothing when its dtype is another one or the bytes are not a file of their
  /// own.
  template <Real T>
  std::optional<FileLayout<T>> layout(const std::string& name) const;

 private:
  struct Dense;
  Dense dense(const std::string& name) const;

  FileBytes file_;
  Index data_offset_ = 0;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
};

/// The file of the shard that holds `tensor`, as a model.safetensors.index.json at `index` says. An empty name stands
/// for the only tensor.
std::string find_shard(const FileBytes& index, std::string& tensor);

/// What was lost on writing.
struct SafetensorsReport {
  Index overflowed = 0;  ///< finite values that became Inf as F16 or BF16
};

/// Collects tensors and writes them as a safetensors file, row-major, sorted by alignment and name as the reference
/// does. Views and bytes must live until write().
class SafetensorsWriter {
 public:
  /// Adds a matrix [rows, cols] in its own type, or rounded once (to nearest, ties to even) to `dtype` F64, F32, F16 or
  /// BF16. Throws std::invalid_argument: the name is empty, taken, or "__metadata__"; another dtype.
  template <Real T>
  void add(const std::string& name, MatrixView<const T> values, const std::string& dtype = {});

  /// Adds a matrix of one column (or one row) with the shape [length].
  template <Real T>
  void add_vector(const std::string& name, MatrixView<const T> values, const std::string& dtype = {});

  /// Adds a tensor of any dtype as it is; `bytes` must have the size that dtype and shape ask for.
  void add_bytes(const std::string& name, const std::string& dtype, std::vector<Index> shape,
                 std::span<const std::byte> bytes);

  void set_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }

  /// Writes the file, whole or not at all.
  SafetensorsReport write(const std::string& path) const;
  /// Writes into a file that the caller commits.
  SafetensorsReport write(AtomicFile& file) const;

 private:
  using Source = std::variant<MatrixView<const float>, MatrixView<const double>, std::span<const std::byte>>;
  struct Entry {
    std::string name, dtype;
    std::vector<Index> shape;
    Source source;
  };
  void add_entry(Entry entry);
  std::vector<const Entry*> sorted() const;
  std::string header(const std::vector<const Entry*>& entries) const;

  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Bits of an element of a safetensors dtype; 0 for an unknown one.
int safetensors_bits(const std::string& dtype);

/// The bytes of a tensor; throws Error where they do not fit in 63 bits or are no whole number.
Index safetensors_bytes(const std::string& dtype, const std::vector<Index>& shape);

}  // namespace lowrank
