#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/nn/dataset.hpp>
#include <lowrank/nn/storage.hpp>
#include <numeric>
#include <stdexcept>

namespace lowrank {
namespace {

std::string find_file(const std::string& folder, const std::string& stem, const std::string& ending) {
  std::vector<std::string> tried;
  for (const char* between : {"-", "."})
    for (const char* packed : {"", ".gz"}) {
      tried.push_back(stem + between + ending + packed);
      const std::filesystem::path path = std::filesystem::path(folder) / tried.back();
      std::error_code unreadable;
      if (std::filesystem::exists(path, unreadable)) return path.string();
    }
  throw Error(fmt::format("{}: the folder has none of {}", folder, fmt::join(tried, ", ")));
}

}  // namespace

std::string installed_dataset() {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::is_directory(folder))
    throw Error(folder + ": Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  return folder;
}

Dataset Dataset::load(const std::string& folder, DataSplit split, int classes, Device& device) {
  if (!std::filesystem::is_directory(folder)) throw Error(folder + ": there is no such folder");
  const std::string stem = split == DataSplit::train ? "train" : "t10k";
  const std::string images_path = find_file(folder, stem + "-images", "idx3-ubyte");
  const std::string labels_path = find_file(folder, stem + "-labels", "idx1-ubyte");
  const IdxImages images = load_idx_images(images_path);
  const std::vector<std::uint8_t> labels = load_idx_labels(labels_path, classes);
  check_idx_pair(images_path, images, labels_path, labels);
  if (images.count == 0 || images.rows * images.cols == 0) throw Error(images_path + ": there are no pixels in it");
  return Dataset(images, labels, classes, device);
}

Dataset::Dataset(const IdxImages& images, const std::vector<std::uint8_t>& labels, int classes, Device& device)
    : classes_(classes) {
  if (images.count != static_cast<Index>(labels.size()))
    throw std::invalid_argument(fmt::format("Dataset: {} images and {} labels", images.count, labels.size()));
  if (images.rows < 0 || images.cols < 0 ||
      static_cast<Index>(images.pixels.size()) !=
          checked_product(images.count, checked_product(images.rows, images.cols)))
    throw std::invalid_argument(fmt::format("Dataset: {} pixels for {} images of {}x{}", images.pixels.size(),
                                            images.count, images.rows, images.cols));
  if (classes < 1 || images.count > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument(fmt::format("Dataset: {} classes, {} images", classes, images.count));
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= classes)
      throw std::invalid_argument(
          fmt::format("Dataset: label {} is {}, but there are {} classes", i, labels[i], classes));
  auto bytes = std::make_shared<Bytes>();
  bytes->device = &device;
  bytes->pixels = Buffer<std::uint8_t>(std::span<const std::uint8_t>(images.pixels), device);
  bytes->labels = Buffer<std::uint8_t>(std::span<const std::uint8_t>(labels), device);
  bytes->host_labels = labels;
  bytes->images = {bytes->pixels.data(), bytes->labels.data(), images.count, images.rows * images.cols, 0.1307, 0.3081};
  Digest digest;
  digest.add(images.pixels.data(), static_cast<Index>(images.pixels.size()));
  digest.add(labels.data(), static_cast<Index>(labels.size()));
  bytes->digest = digest.text();
  auto members = std::make_shared<std::vector<std::int32_t>>(labels.size());
  std::iota(members->begin(), members->end(), 0);
  bytes_ = std::move(bytes);
  members_ = std::move(members);
}

std::vector<Index> Dataset::class_counts() const {
  std::vector<Index> counts(static_cast<std::size_t>(classes_), 0);
  for (const std::int32_t i : *members_) ++counts[bytes_->host_labels[static_cast<std::size_t>(i)]];
  return counts;
}

Dataset Dataset::only(const std::vector<int>& classes) const {
  const std::vector<Index> counts = class_counts();
  if (classes.empty()) throw std::invalid_argument("Dataset: no classes to choose");
  for (const int c : classes) {
    if (c < 0 || c >= classes_)
      throw std::invalid_argument(fmt::format("Dataset: there is no class {}, they are 0 to {}", c, classes_ - 1));
    if (counts[static_cast<std::size_t>(c)] == 0) throw Error(fmt::format("class {} does not occur in the data", c));
  }
  auto chosen = std::make_shared<std::vector<std::int32_t>>();
  std::copy_if(members_->begin(), members_->end(), std::back_inserter(*chosen), [&](std::int32_t i) {
    return std::count(classes.begin(), classes.end(), bytes_->host_labels[static_cast<std::size_t>(i)]) > 0;
  });
  Dataset selection = *this;
  selection.members_ = std::move(chosen);
  return selection;
}

Dataset Dataset::first(Index count) const {
  if (count < 0) throw std::invalid_argument(fmt::format("Dataset: the first {} samples", count));
  Dataset selection = *this;
  selection.members_ =
      std::make_shared<std::vector<std::int32_t>>(members_->begin(), members_->begin() + std::min(count, size()));
  return selection;
}

std::string Dataset::digest() const {
  Digest digest;
  digest.add(bytes_->digest.data(), static_cast<Index>(bytes_->digest.size()));
  digest.add(members_->data(), size() * static_cast<Index>(sizeof(std::int32_t)));
  return digest.text();
}

}  // namespace lowrank
