#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <lowrank/core/error.hpp>
#include <lowrank/io/csv.hpp>
#include <lowrank/io/gzip.hpp>
#include <lowrank/io/idx.hpp>
#include <lowrank/io/load.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/npy.hpp>
#include <lowrank/io/npz.hpp>
#include <lowrank/io/read_matrix.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/io/scipy_sparse.hpp>

namespace lowrank {
namespace {

struct Source {
  std::string path, member;
};

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

/// A name after a colon, if the file itself is not called so. Both may hold colons: the longest prefix that exists is
/// the file.
Source split(const std::string& path) {
  if (exists(path)) return {path, {}};
  for (auto colon = path.rfind(':'); colon != std::string::npos && colon > 0; colon = path.rfind(':', colon - 1)) {
    const std::string prefix = path.substr(0, colon);
    if (!exists(prefix)) continue;
    if (colon + 1 == path.size()) throw Error(fmt::format("{}: no name follows the colon", path));
    return {prefix, path.substr(colon + 1)};
  }
  return {path, {}};
}

void set_values(LoadedMatrix& result, std::string format, DenseArray&& array) {
  result.format = std::move(format);
  result.dtype = std::move(array.dtype);
  std::move(array.notes.begin(), array.notes.end(), std::back_inserter(result.notes));
  std::visit([&](auto& values) { result.content = std::move(values); }, array.values);
}

template <Real T>
bool describe_npy(LoadedMatrix& result, const FileBytes& file, const NpyHeader& header, FileType type) {
  if (header.type != type) return false;
  result.content = FileLayout<T>{file.name(), header.data_offset, header.rows, header.cols, header.order};
  result.format = "npy";
  result.dtype = header.descr;
  return true;
}

void load_npy(LoadedMatrix& result, const FileBytes& file, Index limit) {
  const NpyHeader header = parse_npy_header(file);
  const bool large = file.is_whole_file() && file.size() - header.data_offset > limit;
  if (large && (describe_npy<float>(result, file, header, FileType::f32) ||
                describe_npy<double>(result, file, header, FileType::f64)))
    return;
  set_values(result, "npy", read_npy(file));
}

template <Real T>
bool describe_tensor(LoadedMatrix& result, const SafetensorsFile& file, const TensorInfo& tensor) {
  const auto layout = file.layout<T>(tensor.name);
  if (!layout) return false;
  result.content = *layout;
  result.format = "safetensors";
  result.dtype = tensor.dtype;
  return true;
}

void load_safetensors(LoadedMatrix& result, const FileBytes& bytes, const std::string& member, Index limit) {
  const SafetensorsFile file(bytes);
  const TensorInfo& tensor = file.tensor(member);
  const bool large = tensor.end - tensor.begin > limit;
  if (large && (describe_tensor<float>(result, file, tensor) || describe_tensor<double>(result, file, tensor))) return;
  set_values(result, "safetensors", file.load(member));
}

void load_npz(LoadedMatrix& result, const NpzFile& archive, const std::string& member) {
  if (!member.empty() || !is_scipy_sparse(archive)) return set_values(result, "npz", archive.load(member));
  SparseArray matrix = read_scipy_sparse(archive);
  result.format = "scipy " + matrix.layout;
  result.dtype = std::move(matrix.dtype);
  result.notes = std::move(matrix.notes);
  std::visit([&](auto& values) { result.content = std::move(values); }, matrix.values);
}

void load_matrix_market(LoadedMatrix& result, const FileBytes& file) {
  MatrixMarketMatrix matrix = read_matrix_market(file);
  result.format = "matrix market";
  result.dtype = matrix.dtype;
  result.notes = std::move(matrix.notes);
  std::visit([&](auto& values) { result.content = std::move(values); }, matrix.values);
}

/// A set of images is a matrix with an image a row; the bytes stay 0 to 255.
void load_idx(LoadedMatrix& result, const FileBytes& file) {
  const IdxImages images = read_idx_images(file);
  Matrix<float> values(images.count, images.rows * images.cols, Order::row_major);
  std::copy(images.pixels.begin(), images.pixels.end(), values.data());
  result.format = "idx";
  result.dtype = "u1";
  result.notes.push_back(fmt::format("{} images of {} x {} bytes, an image a row, converted to f32", images.count,
                                     images.rows, images.cols));
  result.content = std::move(values);
}

void refuse_member(const FileBytes& file, const std::string& member, const char* format) {
  if (!member.empty())
    throw Error(fmt::format("{}: a {} file holds one matrix without a name, so there is no {}", file.name(), format,
                            in_quotes(member)));
}

bool is_index(const FileBytes& file) { return file.name().ends_with(".json") || file.starts_with("{"); }

void load_text(LoadedMatrix& result, const FileBytes& file) {
  if (file.text().substr(0, 4096).find('\0') != std::string_view::npos)
    throw Error(fmt::format("{}: the content is none of npy, npz, safetensors, Matrix Market and text of numbers",
                            file.name()));
  set_values(result, "csv", read_csv(file));
}

void read_into(LoadedMatrix& result, const FileBytes& file, const std::string& member, const LoadOptions& options) {
  if (is_zip(file)) return load_npz(result, NpzFile(file), member);
  if (is_safetensors(file) || file.name().ends_with(".safetensors"))
    return load_safetensors(result, file, member, options.in_memory_limit);
  if (is_index(file)) {
    std::string tensor = member;
    const std::string shard = find_shard(file, tensor);
    return load_safetensors(result, FileBytes::open(shard), tensor, options.in_memory_limit);
  }
  if (is_npy(file)) {
    refuse_member(file, member, "npy");
    return load_npy(result, file, options.in_memory_limit);
  }
  if (is_gzip(file)) {
    const FileBytes inner = gunzip(file);
    // A file can be made that unpacks to itself.
    if (is_gzip(inner)) throw Error(fmt::format("{}: the content is packed by gzip twice", file.name()));
    return read_into(result, inner, member, options);
  }
  if (is_idx(file)) {
    refuse_member(file, member, "IDX");
    return load_idx(result, file);
  }
  if (is_matrix_market(file)) {
    refuse_member(file, member, "Matrix Market");
    return load_matrix_market(result, file);
  }
  if (file.name().ends_with(".npy") || file.name().ends_with(".npz") || file.name().ends_with(".mtx"))
    throw Error(fmt::format("{}: the content is not what the ending says", file.name()));
  refuse_member(file, member, "csv");
  load_text(result, file);
}

template <class Content>
Index rows_of(const Content& content) {
  if constexpr (requires { content.path; })
    return content.rows;
  else
    return content.rows();
}

template <class Content>
Index cols_of(const Content& content) {
  if constexpr (requires { content.path; })
    return content.cols;
  else
    return content.cols();
}

}  // namespace

Index LoadedMatrix::rows() const {
  return std::visit([](const auto& held) { return rows_of(held); }, content);
}

Index LoadedMatrix::cols() const {
  return std::visit([](const auto& held) { return cols_of(held); }, content);
}

LoadedMatrix read_matrix(const FileBytes& file, const std::string& member, const LoadOptions& options) {
  LoadedMatrix result;
  read_into(result, file, member, options);
  return result;
}

LoadedMatrix load_matrix(const std::string& path, const LoadOptions& options) {
  const Source source = split(path);
  LoadedMatrix result = read_matrix(FileBytes::open(source.path), source.member, options);
  result.path = path;
  return result;
}

}  // namespace lowrank
