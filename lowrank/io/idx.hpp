#pragma once

#include <cstdint>
#include <lowrank/io/file_bytes.hpp>

namespace lowrank {

/// Grey images of one size, row by row, one after another (the IDX format of MNIST and its kin).
struct IdxImages {
  Index count = 0, rows = 0, cols = 0;
  std::vector<std::uint8_t> pixels;
};

/// Whether the bytes begin like IDX images or labels.
bool is_idx(const FileBytes& file);

/// Reads an IDX file of images (magic 2051), packed by gzip or not. Throws Error: another magic (a label file is named
/// as such), a length of the file that does not fit the counts.
IdxImages load_idx_images(const std::string& path);
IdxImages read_idx_images(const FileBytes& file);

/// Reads an IDX file of labels (magic 2049) likewise. Throws Error also for a label of `classes` or above, with its
/// place.
std::vector<std::uint8_t> load_idx_labels(const std::string& path, int classes = 256);
std::vector<std::uint8_t> read_idx_labels(const FileBytes& file, int classes = 256);

/// Throws Error naming both files when there are more images than labels or the other way.
void check_idx_pair(const std::string& images_path, const IdxImages& images, const std::string& labels_path,
                    const std::vector<std::uint8_t>& labels);

}  // namespace lowrank
