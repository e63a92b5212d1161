#pragma once

#include <lowrank/core/training.hpp>
#include <lowrank/io/idx.hpp>
#include <memory>
#include <string>
#include <vector>

namespace lowrank {

enum class DataSplit { train, test };

/// The folder of the installed Fashion-MNIST (Debian package dataset-fashion-mnist). Throws Error when it is not
/// installed.
std::string installed_dataset();

/// Grey images with labels, kept as bytes on a device; a pixel becomes (byte/255 - mean)/deviation, computed in float,
/// when a batch is gathered. Cheap to copy: copies and selections share the bytes.
class Dataset {
 public:
  /// Reads {train,t10k}-images-idx3-ubyte and -labels-idx1-ubyte, plain or .gz, from `folder` (also with '.' for the
  /// last
  /// '-'). Throws Error: a file missing (naming the names tried), truncated, images where labels are due, counts that
  /// disagree, a label that is not below `classes`, no image at all.
  static Dataset load(const std::string& folder, DataSplit split, int classes = 10, Device& device = host_device());

  /// Throws std::invalid_argument when counts disagree or a label is not below `classes`.
  Dataset(const IdxImages& images, const std::vector<std::uint8_t>& labels, int classes = 10,
          Device& device = host_device());

  Index size() const { return static_cast<Index>(members_->size()); }
  Index features() const { return bytes_->images.features; }
  int classes() const { return classes_; }
  /// How many samples of each class there are.
  std::vector<Index> class_counts() const;

  /// The samples of these classes, in their order. Throws std::invalid_argument for a class that does not exist, and
  /// Error for one that does not occur.
  Dataset only(const std::vector<int>& classes) const;
  /// The first `count` samples (all, if there are fewer).
  Dataset first(Index count) const;

  /// The bytes with their normalization (mean 0.1307, deviation 0.3081 unless changed).
  const ByteImages& images() const { return bytes_->images; }
  /// Sample i of this selection is row members()[i] of images().
  const std::vector<std::int32_t>& members() const { return *members_; }
  Device& device() const { return *bytes_->device; }
  /// 16 hexadecimal digits of the bytes and the selection.
  std::string digest() const;

 private:
  struct Bytes {
    Buffer<std::uint8_t> pixels, labels;
    std::vector<std::uint8_t> host_labels;
    ByteImages images;
    std::string digest;
    Device* device;
  };
  std::shared_ptr<const Bytes> bytes_;
  std::shared_ptr<const std::vector<std::int32_t>> members_;
  int classes_ = 10;
};

}  // namespace lowrank
