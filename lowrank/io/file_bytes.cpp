#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <lowrank/core/device.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/io/file_bytes.hpp>

namespace lowrank {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw Error(fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

FileBytes read_to_end(int fd, const std::string& path) {
  ByteBuffer buffer(path);
  for (;;) {
    const auto room = buffer.room(1 << 16);
    const ssize_t got = ::read(fd, room.data(), room.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "cannot be read");
    if (got == 0) return buffer.finish();
    buffer.advance(got);
  }
}

FileBytes map_file(int fd, std::size_t size, const std::string& path) {
  void* start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  // Some filesystems cannot map.
  if (start == MAP_FAILED) return read_to_end(fd, path);
  std::shared_ptr<void> memory(start, [size](void* mapped) { ::munmap(mapped, size); });
  return {path, std::move(memory), {static_cast<const std::byte*>(start), size}};
}

}  // namespace

FileBytes FileBytes::open(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail(path, "cannot be opened");
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail(path, "cannot be read");
  if (S_ISDIR(status.st_mode)) throw Error(fmt::format("{}: is a folder, not a file", path));
  // Files of /proc are regular and say that they are empty: what reading gives is what counts.
  const bool mappable = S_ISREG(status.st_mode) && status.st_size > 0;
  FileBytes bytes =
      mappable ? map_file(file.fd, static_cast<std::size_t>(status.st_size), path) : read_to_end(file.fd, path);
  if (bytes.size() == 0) throw Error(fmt::format("{}: the file is empty", path));
  bytes.whole_file_ = mappable;
  return bytes;
}

FileBytes FileBytes::copy_of(std::string name, std::span<const std::byte> bytes) {
  ByteBuffer buffer(std::move(name));
  std::copy(bytes.begin(), bytes.end(), buffer.room(static_cast<Index>(bytes.size())).begin());
  buffer.advance(static_cast<Index>(bytes.size()));
  return buffer.finish();
}

FileBytes FileBytes::part(std::string name, Index offset, Index count) const {
  if (offset < 0 || count < 0 || offset > size() || count > size() - offset)
    throw std::invalid_argument(
        fmt::format("FileBytes: {} bytes at {} do not lie within {} of {}", count, offset, size(), name_));
  return {std::move(name), memory_, bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count))};
}

std::span<std::byte> ByteBuffer::room(Index count) {
  if (capacity_ - size_ < count || !memory_) {
    const Index capacity = std::max({size_ + count, capacity_ + capacity_ / 2, Index{4096}});
    // Small buffers are not worth asking the system for.
    if (capacity > (Index{1} << 24) && capacity > available_memory())
      throw Error(fmt::format("{}: holds more than {} bytes, and only {} bytes of memory are available", name_, size_,
                              available_memory()));
    std::shared_ptr<void> grown(std::malloc(static_cast<std::size_t>(capacity)), std::free);
    if (!grown) throw Error(fmt::format("{}: no memory for {} bytes", name_, capacity));
    if (size_ > 0) std::memcpy(grown.get(), memory_.get(), static_cast<std::size_t>(size_));
    memory_ = std::move(grown);
    capacity_ = capacity;
  }
  return {static_cast<std::byte*>(memory_.get()) + size_, static_cast<std::size_t>(capacity_ - size_)};
}

FileBytes ByteBuffer::finish() {
  const auto* start = static_cast<const std::byte*>(memory_.get());
  FileBytes result(name_, memory_, {start, static_cast<std::size_t>(size_)});
  memory_.reset();
  size_ = capacity_ = 0;
  return result;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 40;
  std::string shown = "'";
  for (const char c : text.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    // UTF-8 beyond ASCII is shown as it is.
    if (byte < 0x20 || byte == 0x7f)
      shown += fmt::format("\\x{:02x}", byte);
    else
      shown += c;
  }
  if (text.size() > longest) shown += "...";
  return shown + "'";
}

}  // namespace lowrank
