#include "input.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <lowrank/io/atomic_file.hpp>

#include "report.hpp"

namespace lowrank::tools {
namespace {

void show_notes(const CommandLine& command, const LoadedMatrix& matrix) {
  for (const std::string& note : matrix.notes) command.note(about(matrix.path, note));
}

template <Real To, Real From>
Matrix<To> converted(MatrixView<const From> from) {
  Matrix<To> to(from.rows(), from.cols(), from.order());
  const bool by_rows = from.order() == Order::row_major;
  const Index lines = by_rows ? from.rows() : from.cols(), length = by_rows ? from.cols() : from.rows();
  for (Index i = 0; i < lines; ++i)
    for (Index j = 0; j < length; ++j) to.data()[i * length + j] = static_cast<To>(from.data()[i * from.ld() + j]);
  return to;
}

}  // namespace

std::string about(const std::string& path, const std::string& what) {
  // Messages on a tensor may name its file only.
  return what.starts_with(path.substr(0, path.rfind(':'))) ? what : fmt::format("{}: {}", path, what);
}

Input open_input(const CommandLine& command, const std::string& path, Index memory) {
  Input input;
  input.matrix = std::make_unique<const LoadedMatrix>(load_matrix(path, {.in_memory_limit = memory}));
  show_notes(command, *input.matrix);
  input.op = operator_over(*input.matrix);
  input.rows = input.matrix->rows();
  input.cols = input.matrix->cols();
  input.in_blocks = std::holds_alternative<FileLayout<float>>(input.matrix->content) ||
                    std::holds_alternative<FileLayout<double>>(input.matrix->content);
  if (input.in_blocks) {
    const Index bytes = input.rows * input.cols * (input.op.index() == 0 ? 4 : 8);
    command.note(fmt::format("{}: {} is above the limit of {} (--memory): read from the file block by block", path,
                             size_text(bytes), size_text(memory)));
  }
  return input;
}

template <Real T>
Matrix<T> load_dense(const CommandLine& command, const std::string& path) {
  LoadedMatrix matrix = load_matrix(path, {.in_memory_limit = std::numeric_limits<Index>::max()});
  show_notes(command, matrix);
  if (auto* same = std::get_if<Matrix<T>>(&matrix.content)) return std::move(*same);
  using Other = std::conditional_t<std::is_same_v<T, float>, double, float>;
  const auto* other = std::get_if<Matrix<Other>>(&matrix.content);
  if (other == nullptr)
    throw Error(fmt::format("{}: a dense matrix is wanted, and this one ({}) is sparse", path, matrix.format));
  command.note(fmt::format("{}: converted from {} to {}", path, dtype_name<Other>(), dtype_name<T>()));
  return converted<T, Other>(*other);
}

template Matrix<float> load_dense<float>(const CommandLine&, const std::string&);
template Matrix<double> load_dense<double>(const CommandLine&, const std::string&);

void check_output(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_other(status)) {
    // To open a pipe is to wait for its reader, and closing it tells the reader that all is written.
    if (access(path.c_str(), W_OK) != 0)
      throw Error(fmt::format("{}: cannot be opened for writing: {}", path, std::strerror(errno)));
    return;
  }
  AtomicFile probe(path);
}

}  // namespace lowrank::tools
