#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <lowrank/io/csv.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/npy.hpp>
#include <lowrank/io/npz.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/io/save.hpp>

namespace lowrank {
namespace {

constexpr std::array<std::string_view, 7> matrix_endings{".npy", ".npz",    ".csv",        ".tsv",
                                                         ".mtx", ".mtx.gz", ".safetensors"};
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

template <Real T>
void save_matrix(const std::string& path, MatrixView<const T> values) {
  check_matrix_ending(path);
  const auto [file, member] = split(path);
  if (file.ends_with(".npy")) return save_npy<T>(file, values);
  if (file.ends_with(".csv") || file.ends_with(".tsv")) return save_csv<T>(file, values);
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
