#include <fmt/format.h>

#include <array>
#include <lowrank/core/error.hpp>
#include <lowrank/io/gzip.hpp>
#include <lowrank/io/idx.hpp>

// The format: two zero bytes, the type (8: unsigned bytes), the number of dimensions, then each of them as a big-endian
// 32-bit number.

namespace lowrank {
namespace {

constexpr std::uint32_t images_magic = 2051, labels_magic = 2049;

std::uint32_t big_endian(const FileBytes& file, Index at) {
  return __builtin_bswap32(read_number<std::uint32_t>(file.data() + at));
}

std::string kind(std::uint32_t magic) {
  if (magic == images_magic) return "images (magic 2051)";
  if (magic == labels_magic) return "labels (magic 2049)";
  return fmt::format("no IDX images or labels (magic {}, not 2051 or 2049)", magic);
}

/// Checks the header and the length; returns the data.
template <std::size_t Dimensions>
FileBytes read_idx(const FileBytes& file, std::uint32_t magic, std::array<Index, Dimensions>& sizes) {
  const Index header = 4 + 4 * static_cast<Index>(Dimensions);
  if (file.size() >= 4 && big_endian(file, 0) != magic)
    throw Error(
        fmt::format("{}: {} are due, but the file holds {}", file.name(), kind(magic), kind(big_endian(file, 0))));
  if (file.size() < header)
    throw Error(fmt::format("{}: the file is truncated: {} bytes, fewer than the {} of an IDX header", file.name(),
                            file.size(), header));
  Index due = 1;
  for (std::size_t d = 0; d < Dimensions; ++d) {
    sizes[d] = big_endian(file, 4 + 4 * static_cast<Index>(d));
    if (__builtin_mul_overflow(due, sizes[d], &due))
      throw Error(fmt::format("{}: the sizes of the IDX header do not fit in 63 bits", file.name()));
  }
  if (file.size() - header != due)
    throw Error(fmt::format("{}: the file is {}: {} bytes are due ({}), but {} follow the header", file.name(),
                            file.size() - header < due ? "truncated" : "too long", due, fmt::join(sizes, " x "),
                            file.size() - header));
  return file.part(file.name(), header, due);
}

std::vector<std::uint8_t> copied(const FileBytes& data) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(data.data());
  return {first, first + data.size()};
}

FileBytes unpacked(const FileBytes& file) { return is_gzip(file) ? gunzip(file) : file; }

}  // namespace

bool is_idx(const FileBytes& file) {
  if (file.size() < 4) return false;
  const std::uint32_t magic = big_endian(file, 0);
  return magic == images_magic || magic == labels_magic;
}

IdxImages read_idx_images(const FileBytes& file) {
  std::array<Index, 3> sizes{};
  const FileBytes data = read_idx(unpacked(file), images_magic, sizes);
  return {sizes[0], sizes[1], sizes[2], copied(data)};
}

std::vector<std::uint8_t> read_idx_labels(const FileBytes& file, int classes) {
  std::array<Index, 1> sizes{};
  const FileBytes data = read_idx(unpacked(file), labels_magic, sizes);
  for (Index i = 0; i < data.size(); ++i)
    if (static_cast<int>(data.data()[i]) >= classes)
      throw Error(fmt::format("{}: label {} is {}, but there are {} classes", file.name(), i,
                              static_cast<int>(data.data()[i]), classes));
  return copied(data);
}

IdxImages load_idx_images(const std::string& path) { return read_idx_images(FileBytes::open(path)); }

std::vector<std::uint8_t> load_idx_labels(const std::string& path, int classes) {
  return read_idx_labels(FileBytes::open(path), classes);
}

void check_idx_pair(const std::string& images_path, const IdxImages& images, const std::string& labels_path,
                    const std::vector<std::uint8_t>& labels) {
  if (images.count != static_cast<Index>(labels.size()))
    throw Error(fmt::format("{} holds {} images, but {} holds {} labels", images_path, images.count, labels_path,
                            labels.size()));
}

}  // namespace lowrank
