#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <lowrank/core/error.hpp>
#include <lowrank/op/mapped_file.hpp>

namespace lowrank {
namespace {

void read_all(int file, const std::string& path, char* to, Index bytes, Index offset) {
  while (bytes > 0) {
    const ssize_t got = pread(file, to, static_cast<std::size_t>(bytes), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(fmt::format("{}: cannot read at byte {}: {}", path, offset, std::strerror(errno)));
    if (got == 0) throw Error(fmt::format("{}: the file ends at byte {}; it has become shorter", path, offset));
    to += got, offset += got, bytes -= got;
  }
}

}  // namespace

template <Real T>
MappedFileOperator<T>::MappedFileOperator(FileLayout<T> layout, Index block_bytes)
    : layout_(std::move(layout)), block_bytes_(block_bytes) {
  file_ = open(layout_.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) throw Error(fmt::format("{}: {}", layout_.path, std::strerror(errno)));
  const Index bytes = checked_product(checked_product(layout_.rows, layout_.cols), sizeof(T));
  struct stat status {};
  if (fstat(file_, &status) == 0 && !S_ISREG(status.st_mode)) {
    close(file_);
    throw Error(fmt::format("{}: not a regular file", layout_.path));
  }
  if (fstat(file_, &status) != 0 || status.st_size - layout_.offset < bytes) {
    close(file_);
    throw Error(fmt::format("{}: {} bytes of data are needed from byte {} on, the file has {}", layout_.path, bytes,
                            layout_.offset, static_cast<Index>(status.st_size)));
  }
}

template <Real T>
MappedFileOperator<T>::~MappedFileOperator() {
  close(file_);
}

/// The next block is read while one is visited.
template <Real T>
void MappedFileOperator<T>::visit_blocks(const typename BlockOperator<T>::Visitor& visit) const {
  const bool by_rows = layout_.order == Order::row_major;
  const Index lines = by_rows ? layout_.rows : layout_.cols, length = by_rows ? layout_.cols : layout_.rows;
  if (lines == 0 || length == 0) return;
  const Index line_bytes = length * static_cast<Index>(sizeof(T));
  const Index count = std::clamp<Index>(block_bytes_ / line_bytes, 1, lines);
  Matrix<T> buffers[2] = {Matrix<T>(length, count), Matrix<T>(length, count < lines ? count : 0)};
  const auto read = [&](Index line, Matrix<T>& to) {
    const Index bytes = std::min(count, lines - line) * line_bytes;
    read_all(file_, layout_.path, reinterpret_cast<char*>(to.data()), bytes, layout_.offset + line * line_bytes);
  };
  read(0, buffers[0]);
  for (Index line = 0, turn = 0; line < lines; line += count, turn ^= 1) {
    std::future<void> next;
    if (line + count < lines) next = std::async(std::launch::async, read, line + count, std::ref(buffers[turn ^ 1]));
    const Index here = std::min(count, lines - line);
    const MatrixView<const T> block(buffers[turn].data(), length, here, length);
    if (by_rows)
      visit(block.transposed(), line, Index{0});
    else
      visit(block, Index{0}, line);
    if (next.valid()) next.get();
  }
}

template <Real T>
Matrix<T> MappedFileOperator<T>::to_dense() const {
  Matrix<T> A(rows(), cols(), layout_.order);
  read_all(file_, layout_.path, reinterpret_cast<char*>(A.data()), A.size() * static_cast<Index>(sizeof(T)),
           layout_.offset);
  return A;
}

template class MappedFileOperator<float>;
template class MappedFileOperator<double>;

}  // namespace lowrank
