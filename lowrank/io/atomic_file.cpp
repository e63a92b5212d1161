#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/temporary_names.hpp>

namespace lowrank {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 18;

std::string reason(int error) { return std::strerror(error); }

/// The file that `path` stands for, symbolic links resolved, also those to a file that is still to be made.
std::string resolved(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  if (!error) return real.string();
  std::filesystem::path target = std::filesystem::absolute(path, error);
  if (error) return path;
  constexpr int most_links = 40;  // as Linux has it
  for (int links = 0; std::filesystem::is_symlink(target, error); ++links) {
    if (links == most_links) throw Error(fmt::format("{}: {}", path, reason(ELOOP)));
    const auto next = std::filesystem::read_symlink(target, error);
    if (error) throw Error(fmt::format("{}: {}", path, error.message()));
    target = target.parent_path() / next;
  }
  return target.string();
}

void check_folder(const std::string& path, const std::string& target) {
  const std::string folder = std::filesystem::path(target).parent_path().string();
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0)
    throw Error(fmt::format("{}: the output folder {} cannot be used: {}", path, folder, reason(errno)));
  if (!S_ISDIR(status.st_mode)) throw Error(fmt::format("{}: {} is not a folder", path, folder));
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), target_(resolved(path_)) {
  if (path_.empty()) throw std::invalid_argument("AtomicFile: the name of the output file is empty");
  struct stat old {};
  const bool exists = ::stat(path_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode))
    throw Error(fmt::format("{}: is a folder, so no file can be written there", path_));
  if (exists && !S_ISREG(old.st_mode)) {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (file_ < 0) fail("cannot be opened for writing");
    return;
  }
  check_folder(path_, target_);
  if (exists && ::access(target_.c_str(), W_OK) != 0) fail("cannot be replaced");
  // A process of the same number, killed before or in another container, may have left one of that name.
  constexpr int most_tries = 1000;
  for (int tries = 1; file_ < 0; ++tries) {
    const auto [slot, name] = register_temporary(target_);
    slot_ = slot;
    file_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ >= 0) {
      temporary_ = name;
      break;
    }
    const int error = errno;
    discard();
    if (error != EEXIST || tries == most_tries)
      throw Error(fmt::format("{}: cannot be written: {}", path_, reason(error)));
  }
  if (exists) static_cast<void>(::fchmod(file_, old.st_mode & 07777));  // the old file's mode is a wish, not a duty
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(const void* data, Index bytes) {
  if (file_ < 0) throw std::invalid_argument(fmt::format("AtomicFile: {} is already closed", path_));
  const auto* from = static_cast<const std::byte*>(data);
  const auto count = static_cast<std::size_t>(bytes);
  position_ += bytes;
  const bool large = count > buffer_bytes / 2;
  if (large || buffer_.size() + count > buffer_bytes) flush();
  if (large) return write_through(from, count);
  if (buffer_.capacity() == 0) buffer_.reserve(buffer_bytes);
  buffer_.insert(buffer_.end(), from, from + count);
}

void AtomicFile::reserve(Index bytes) {
  if (bytes <= 0 || temporary_.empty()) return;
  if (::fallocate(file_, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0) return;
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
    fail(fmt::format("{} bytes cannot be written", bytes).c_str());
}

void AtomicFile::write_through(const std::byte* data, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t done = ::write(file_, data, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("cannot be written");
    data += done;
    bytes -= static_cast<std::size_t>(done);
  }
}

void AtomicFile::flush() {
  write_through(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void AtomicFile::complete(Durability durability) {
  if (file_ < 0) throw std::invalid_argument(fmt::format("AtomicFile: {} is already closed", path_));
  flush();
  // Devices and pipes cannot be synchronized.
  if (durability == Durability::on_disk && ::fsync(file_) != 0 && errno != EINVAL && errno != EROFS)
    fail("cannot be written to the disk");
  const int file = std::exchange(file_, -1);
  if (::close(file) != 0 && errno != EINTR) fail("cannot be closed");
  complete_ = true;
}

void AtomicFile::commit(Durability durability) {
  if (!complete_) complete(durability);
  complete_ = false;
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0)
    fail(errno == ENOENT ? "the temporary file was removed (by a signal?) before it was complete"
                         : "the complete temporary file cannot be renamed");
  temporary_.clear();
  discard();
}

void AtomicFile::discard() noexcept {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
  if (slot_ >= 0) unregister_temporary(std::exchange(slot_, -1));
}

void AtomicFile::fail(const char* what) {
  const int error = errno;
  discard();
  throw Error(fmt::format("{}: {}: {}", path_, what, reason(error)));
}

}  // namespace lowrank
