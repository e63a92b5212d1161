#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <lowrank/io/npz.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/io/scipy_sparse.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "report.hpp"
#include "statistics.hpp"

namespace lowrank::tools {
namespace {

/// A matrix of several in a file.
struct Member {
  std::string name, dtype;
  std::vector<Index> shape;
  std::string refusal = {};  ///< why it cannot be read
};

std::vector<Index> shape_of(const DenseArray& array) {
  return std::visit([](const auto& values) { return std::vector<Index>{values.rows(), values.cols()}; }, array.values);
}

/// An array that cannot be read does not hide the others.
Member describe(const NpzFile& file, const std::string& name) {
  try {
    const DenseArray array = file.load(name);
    return {name, array.dtype, shape_of(array)};
  } catch (const Error& error) {
    return {name, "", {}, error.what()};
  }
}

struct Container {
  std::string format;
  std::vector<Member> members;
};

/// What stands in the file, if it is a container and not of one matrix only.
std::optional<Container> container_at(const std::string& path) {
  // A name with a member after a colon is no file; a pipe can be read only once.
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || std::filesystem::file_size(path, error) == 0) return {};
  const FileBytes bytes = FileBytes::open(path);
  Container container;
  if (is_zip(bytes)) {
    container.format = "npz";
    const NpzFile file(bytes);
    if (is_scipy_sparse(file)) return {};
    for (const NpzFile::Member& member : file.members()) container.members.push_back(describe(file, member.name));
  } else if (is_safetensors(bytes)) {
    container.format = "safetensors";
    const SafetensorsFile file(bytes);
    for (const TensorInfo& tensor : file.tensors())
      container.members.push_back({tensor.name, tensor.dtype, tensor.shape});
  } else {
    return {};
  }
  return container.members.size() == 1 ? std::nullopt : std::optional(container);
}

std::string shape_of_member(const Member& member) {
  if (!member.refusal.empty()) return "cannot be read";
  return member.shape.empty() ? "one number" : fmt::format("{}", fmt::join(member.shape, " x "));
}

void print_container(const CommandLine& command, const std::string& path, const Container& container) {
  if (command.json) {
    Json members = Json::array();
    for (const Member& each : container.members)
      members.push_back(
          each.refusal.empty()
              ? Json{{"name", each.name}, {"dtype", each.dtype}, {"shape", each.shape}}
              : Json{{"name", each.name}, {"dtype", nullptr}, {"shape", nullptr}, {"reason", each.refusal}});
    return print(json_line({{"path", path},
                            {"format", container.format},
                            {"file_bytes", std::filesystem::file_size(path)},
                            {"members", members}}));
  }
  std::size_t longest = 4;
  for (const Member& each : container.members) longest = std::max(longest, each.name.size());
  std::vector<std::vector<std::string>> rows;
  for (const Member& each : container.members)
    rows.push_back({fmt::format("{:<{}}", each.name, longest), each.dtype, shape_of_member(each)});
  print(fmt::format("{}: {}, {} matrices; one of them: lowrank info {}:NAME\n", path, container.format,
                    container.members.size(), path) +
        table({fmt::format("{:<{}}", "name", longest), "dtype", "shape"}, rows));
}

Statistics statistics_of(const LoadedMatrix& matrix, ProgressBar& bar) {
  return std::visit(
      [&]<class Content>(const Content& content) -> Statistics {
        if constexpr (requires { content.view(); })
          return statistics(content.view(), bar);
        else if constexpr (requires { content.nonZeros(); })
          return statistics(content, bar);
        else
          throw Error(fmt::format("{}: the file could not be mapped into memory", matrix.path));
      },
      matrix.content);
}

struct Kind {
  bool sparse = false;
  std::string order = {};  ///< empty for a sparse matrix
};

Kind kind_of(const LoadedMatrix& matrix) {
  return std::visit(
      []<class Content>(const Content& content) -> Kind {
        if constexpr (requires { content.order(); })
          return {.order = content.order() == Order::row_major ? "C" : "F"};
        else
          return {.sparse = true};
      },
      matrix.content);
}

Index file_bytes(const std::string& path) {
  std::error_code error;
  for (std::string file = path;; file.resize(file.rfind(':'))) {
    const auto size = std::filesystem::file_size(file, error);
    if (!error) return static_cast<Index>(size);
    if (file.rfind(':') == file.npos) return 0;
  }
}

double density(const Statistics& s) {
  return s.entries == 0 ? 0 : static_cast<double>(s.stored) / static_cast<double>(s.entries);
}

Json as_json(const LoadedMatrix& matrix, const Kind& kind, const Statistics& s) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"path", matrix.path},
          {"format", matrix.format},
          {"dtype", matrix.dtype},
          {"shape", {matrix.rows(), matrix.cols()}},
          {"sparse", kind.sparse},
          {"order", kind.sparse ? Json(nullptr) : Json(kind.order)},
          {"file_bytes", file_bytes(matrix.path)},
          {"nnz", kind.sparse ? s.stored : s.entries - s.zeros},
          {"density", kind.sparse ? Json(density(s)) : Json(nullptr)},
          {"frobenius_norm", or_null(s.frobenius_norm)},
          {"min", or_null(s.min)},
          {"max", or_null(s.max)},
          {"zeros", s.zeros},
          {"nan", s.nan},
          {"inf", s.inf},
          {"notes", matrix.notes}};
}

std::string as_text(const LoadedMatrix& matrix, const Kind& kind, const Statistics& s) {
  std::string text = fmt::format("{}: {}, {}, {}\n", matrix.path, shape_text(matrix.rows(), matrix.cols()),
                                 matrix.dtype, matrix.format);
  const auto shown = [](const std::optional<double>& value) { return value ? number(*value) : "-"; };
  std::vector<std::pair<std::string, std::string>> lines;
  if (kind.sparse)
    lines.push_back({"sparse", fmt::format("{} entries stored ({})", s.stored, percent(density(s)))});
  else
    lines.push_back({"order", kind.order == "C" ? "C (by rows)" : "Fortran (by columns)"});
  lines.push_back({"file", size_text(file_bytes(matrix.path))});
  lines.push_back({"Frobenius norm", s.frobenius_norm ? number(*s.frobenius_norm) : "- (there is NaN or Inf)"});
  lines.push_back({"min, max", fmt::format("{}, {}", shown(s.min), shown(s.max))});
  lines.push_back({"zeros", fmt::format("{} of {}", s.zeros, s.entries)});
  lines.push_back({"NaN, Inf", fmt::format("{}, {}", s.nan, s.inf)});
  return text + fields(lines);
}

}  // namespace

int info_command(int argc, char** argv) {
  std::string path;
  CommandLine command("info", "What a file holds: shape, type, and what is to be seen in one sweep over its entries.",
                      {{"lowrank info W.npy", "shape, norm, extremes, zeros, NaN and Inf"},
                       {"lowrank info model.safetensors", "the tensors in a file"},
                       {"lowrank info model.safetensors:layer.weight --json", "one of them"}});
  command.arguments.positional("FILE", path, "the file, or FILE:NAME for one of several matrices in it");
  if (!command.parse(argc, argv)) return done;
  if (const auto container = container_at(path)) {
    print_container(command, path, *container);
    return done;
  }
  // Mapped, not read: a file larger than memory is swept through once.
  const LoadedMatrix matrix = load_matrix(path, {.in_memory_limit = std::numeric_limits<Index>::max()});
  for (const std::string& note : matrix.notes) command.note(about(path, note));
  ProgressBar bar(command.shows_progress());
  const Statistics s = statistics_of(matrix, bar);
  bar.clear();
  const Kind kind = kind_of(matrix);
  print(command.json ? json_line(as_json(matrix, kind, s)) : as_text(matrix, kind, s));
  return done;
}

}  // namespace lowrank::tools
