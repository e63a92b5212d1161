#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/io/csv.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/npy.hpp>
#include <lowrank/io/npz.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/io/save.hpp>

namespace lowrank {
namespace {

constexpr std::array<std::string_view, 4> csv_endings{".csv", ".csv.gz", ".tsv", ".tsv.gz"};
constexpr std::array<std::string_view, 9> matrix_endings{".npy",    ".npz", ".csv",    ".csv.gz",     ".tsv",
                                                         ".tsv.gz", ".mtx", ".mtx.gz", ".safetensors"};
constexpr std::array<std::string_view, 2> container_endings{".npz", ".safetensors"};

template <std::size_t N>
bool ends_with_one(const std::string& path, const std::array<std::string_view, N>& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return path.ends_with(ending); });
}

struct Target {
  std::string path, member;
};

/// `file.npz:name` names a member, unless the whole already ends in something known.
Target split(const std::string& path) {
  const auto colon = path.rfind(':');
  if (!ends_with_one(path, matrix_endings) && colon != std::string::npos && colon + 1 < path.size() &&
      ends_with_one(path.substr(0, colon), container_endings))
    return {path.substr(0, colon), path.substr(colon + 1)};
  return {path, "W"};
}

/// The names of what a container holds; none where the file is no container, or one that cannot be read.
std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return names;
  try {
    const FileBytes file = FileBytes::open(path);
    if (is_zip(file)) {
      const NpzFile archive(file);
      for (const NpzFile::Member& member : archive.members()) names.push_back(member.name);
    } else if (is_safetensors(file)) {
      const SafetensorsFile tensors(file);
      for (const TensorInfo& tensor : tensors.tensors()) names.push_back(tensor.name);
    }
  } catch (const Error&) {
    names.clear();
  }
  return names;
}

}  // namespace

void check_matrix_ending(const std::string& path) {
  if (!ends_with_one(split(path).path, matrix_endings))
    throw std::invalid_argument(fmt::format("{}: the ending names no format for a matrix; known are {}", path,
                                            fmt::join(matrix_endings, ", ")));
}

void check_matrices_ending(const std::string& path) {
  if (!ends_with_one(path, container_endings))
    throw std::invalid_argument(fmt::format("{}: the ending names no format for several matrices; known are {}", path,
                                            fmt::join(container_endings, ", ")));
}

void check_replaced(const std::string& path, const std::vector<std::string>& names) {
  std::vector<std::string> lost = names_in(path);
  std::erase_if(lost,
                [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); });
  if (!lost.empty())
    throw Error(fmt::format("{}: the file holds {} other {}, which would be lost: {}", path, lost.size(),
                            lost.size() == 1 ? "matrix" : "matrices", first_names(lost)));
}

void check_replaced(const std::string& path) {
  const auto [file, member] = split(path);
  if (ends_with_one(file, container_endings)) check_replaced(file, {member});
}

template <Real T>
void save_matrix(const std::string& path, MatrixView<const T> values) {
  check_matrix_ending(path);
  check_replaced(path);
  const auto [file, member] = split(path);
  if (file.ends_with(".npy")) return save_npy<T>(file, values);
  if (ends_with_one(file, csv_endings)) return save_csv<T>(file, values);
  if (file.ends_with(".mtx") || file.ends_with(".mtx.gz")) return save_matrix_market<T>(file, values);
  if (file.ends_with(".npz")) {
    NpzWriter writer(file);
    writer.add<T>(member, values);
    return writer.commit();
  }
  SafetensorsWriter writer;
  writer.add<T>(member, values);
  writer.write(file);
}

template <Real T>
void save_matrix(const std::string& path, const SparseMatrix<T>& values) {
  if (!path.ends_with(".mtx") && !path.ends_with(".mtx.gz"))
    throw std::invalid_argument(
        fmt::format("{}: a sparse matrix of {}x{} is written as .mtx or .mtx.gz; the other formats are dense", path,
                    values.rows(), values.cols()));
  save_matrix_market<T>(path, values);
}

template <Real T>
void save_matrices(const std::string& path, std::span<const NamedMatrix<T>> matrices) {
  check_matrices_ending(path);
  std::vector<std::string> names;
  for (const auto& matrix : matrices) names.push_back(matrix.name);
  check_replaced(path, names);
  if (path.ends_with(".npz")) {
    NpzWriter writer(path);
    for (const auto& matrix : matrices)
      writer.add<T>(matrix.name, matrix.values, Order::row_major, matrix.shape == ArrayShape::vector ? 1 : 2);
    return writer.commit();
  }
  SafetensorsWriter writer;
  for (const auto& matrix : matrices) {
    if (matrix.shape == ArrayShape::vector)
      writer.add_vector<T>(matrix.name, matrix.values);
    else
      writer.add<T>(matrix.name, matrix.values);
  }
  writer.write(path);
}

#define LOWRANK_INSTANTIATE(T)                                              \
  template void save_matrix<T>(const std::string&, MatrixView<const T>);    \
  template void save_matrix<T>(const std::string&, const SparseMatrix<T>&); \
  template void save_matrices<T>(const std::string&, std::span<const NamedMatrix<T>>);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
