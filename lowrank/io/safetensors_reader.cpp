#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/io/json_text.hpp>
#include <lowrank/io/safetensors.hpp>

namespace lowrank {
namespace {

constexpr Index longest_header = 100'000'000;

const std::map<std::string, int>& bits_of_dtypes() {
  static const std::map<std::string, int> bits{
      {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},        {"U8", 8},          {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
      {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
      {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  return bits;
}

std::optional<FileType> file_type(const std::string& dtype) {
  static const std::map<std::string, FileType> types{
      {"F64", FileType::f64},     {"F32", FileType::f32}, {"F16", FileType::f16}, {"BF16", FileType::bf16},
      {"I8", FileType::i8},       {"I16", FileType::i16}, {"I32", FileType::i32}, {"I64", FileType::i64},
      {"U8", FileType::u8},       {"U16", FileType::u16}, {"U32", FileType::u32}, {"U64", FileType::u64},
      {"BOOL", FileType::boolean}};
  const auto found = types.find(dtype);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

class HeaderReader {
 public:
  explicit HeaderReader(const FileBytes& file) : file_(file) {}

  /// The header's JSON; `data` is set to where the data begin.
  nlohmann::json parse(Index& data) const {
    if (file_.size() < 8)
      fail(fmt::format("the file has {} bytes, fewer than the 8 of the header's length", file_.size()));
    const auto length = read_number<std::uint64_t>(file_.data());
    if (length > static_cast<std::uint64_t>(longest_header))
      fail(fmt::format("the header's length of {} is above the limit of {}", length, longest_header));
    data = 8 + static_cast<Index>(length);
    if (data > file_.size())
      fail(fmt::format("a header of {} bytes is declared, but only {} follow: the file is truncated", length,
                       file_.size() - 8));
    const std::string_view text = file_.text().substr(8, length);
    if (!text.starts_with('{')) fail("the header does not begin with '{'");
    nlohmann::json header = parse_json(file_.name() + ": safetensors header", text);
    if (!header.is_object()) fail("the header is no object");
    return header;
  }

  TensorInfo tensor(const std::string& name, const nlohmann::json& value) const {
    const std::string what = "tensor " + in_quotes(name);
    if (!value.is_object()) fail(what + " is not described by an object");
    for (const char* key : {"dtype", "shape", "data_offsets"})
      if (!value.contains(key)) fail(fmt::format("{} has no {}", what, key));
    TensorInfo info{name, {}, {}, 0, 0};
    if (!value["dtype"].is_string()) fail(what + ": dtype is no string");
    info.dtype = value["dtype"].get<std::string>();
    if (safetensors_bits(info.dtype) == 0)
      fail(fmt::format("{}: the dtype {} is unknown", what, in_quotes(info.dtype)));
    info.shape = sizes(value["shape"], what + ": shape");
    const auto offsets = sizes(value["data_offsets"], what + ": data_offsets");
    if (offsets.size() != 2) fail(fmt::format("{}: data_offsets has {} numbers instead of 2", what, offsets.size()));
    info.begin = offsets[0];
    info.end = offsets[1];
    check_size(info, what);
    return info;
  }

  std::map<std::string, std::string> metadata(const nlohmann::json& value) const {
    std::map<std::string, std::string> result;
    if (!value.is_object()) fail("__metadata__ is no object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail(fmt::format("__metadata__: the value of {} is no string", in_quotes(key)));
      result[key] = text.get<std::string>();
    }
    return result;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}: safetensors: {}", file_.name(), what));
  }

 private:
  std::vector<Index> sizes(const nlohmann::json& value, const std::string& what) const {
    if (!value.is_array()) fail(what + " is no list");
    std::vector<Index> result;
    for (const auto& entry : value) {
      if (!entry.is_number_unsigned() ||
          entry.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
        fail(fmt::format("{} holds {}, which is no size", what,
                         in_quotes(entry.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace))));
      result.push_back(entry.get<Index>());
    }
    return result;
  }

  void check_size(const TensorInfo& info, const std::string& what) const {
    Index due = 0;
    try {
      due = safetensors_bytes(info.dtype, info.shape);
    } catch (const Error& error) {
      fail(what + ": " + error.what());
    }
    if (info.end < info.begin || info.end - info.begin != due)
      fail(fmt::format("{}: the shape {} of {} needs {} bytes, but data_offsets are [{}, {}]", what,
                       shape_text(info.shape), info.dtype, due, info.begin, info.end));
  }

  const FileBytes& file_;
};

void check_coverage(const HeaderReader& reader, const std::vector<TensorInfo>& tensors, Index data_bytes) {
  Index covered = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin != covered)
      reader.fail(fmt::format("tensor {} begins at {}, but the one before ends at {}: there is {}",
                              in_quotes(tensor.name), tensor.begin, covered,
                              tensor.begin < covered ? "an overlap" : "a hole"));
    covered = tensor.end;
  }
  if (covered != data_bytes)
    reader.fail(fmt::format("the tensors need {} bytes of data, but {} follow the header: the file is {}", covered,
                            data_bytes, covered > data_bytes ? "truncated" : "too long"));
}

}  // namespace

int safetensors_bits(const std::string& dtype) {
  const auto found = bits_of_dtypes().find(dtype);
  return found == bits_of_dtypes().end() ? 0 : found->second;
}

Index safetensors_bytes(const std::string& dtype, const std::vector<Index>& shape) {
  Index bits = safetensors_bits(dtype);
  for (const Index size : shape)
    if (__builtin_mul_overflow(bits, size, &bits))
      throw Error(fmt::format("the size of the shape {} does not fit in 63 bits", shape_text(shape)));
  if (bits % 8 != 0)
    throw Error(fmt::format("the shape {} of {} is no whole number of bytes", shape_text(shape), dtype));
  return bits / 8;
}

bool is_safetensors(const FileBytes& file) {
  return file.size() > 8 && file.data()[8] == std::byte{'{'} &&
         read_number<std::uint64_t>(file.data()) <= static_cast<std::uint64_t>(longest_header);
}

SafetensorsFile::SafetensorsFile(FileBytes file) : file_(std::move(file)) {
  const HeaderReader reader(file_);
  const nlohmann::json header = reader.parse(data_offset_);
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__")
      metadata_ = reader.metadata(value);
    else
      tensors_.push_back(reader.tensor(name, value));
  }
  std::stable_sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_coverage(reader, tensors_, file_.size() - data_offset_);
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
}

const TensorInfo& SafetensorsFile::tensor(const std::string& name) const {
  const auto names = [&] {
    std::vector<std::string> list;
    for (const auto& [key, unused] : index_) list.push_back(key);
    return first_names(list);
  };
  if (tensors_.empty()) throw Error(fmt::format("{}: the file holds no tensors", file_.name()));
  if (name.empty() && tensors_.size() == 1) return tensors_.front();
  if (name.empty())
    throw Error(fmt::format("{}: the file holds {} tensors; name one after a colon: {}", file_.name(), tensors_.size(),
                            names()));
  const auto found = index_.find(name);
  if (found == index_.end())
    throw Error(fmt::format("{}: there is no tensor {}; there are: {}", file_.name(), in_quotes(name), names()));
  return tensors_[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(static_cast<std::size_t>(data_offset_ + tensor.begin),
                               static_cast<std::size_t>(tensor.end - tensor.begin));
}

struct SafetensorsFile::Dense {
  const TensorInfo& info;
  FileType type;
  Index rows, cols;
  FileBytes data;
};

SafetensorsFile::Dense SafetensorsFile::dense(const std::string& name) const {
  const TensorInfo& info = tensor(name);
  const std::string place = file_.name() + ":" + info.name;
  const auto type = file_type(info.dtype);
  if (!type) throw Error(fmt::format("{}: the dtype {} cannot be computed with", place, info.dtype));
  if (info.shape.size() > 2)
    throw Error(fmt::format("{}: the tensor has the shape {}; a matrix has at most two dimensions", place,
                            shape_text(info.shape)));
  const Index rows = info.shape.empty() ? 1 : info.shape[0], cols = info.shape.size() < 2 ? 1 : info.shape[1];
  return {info, *type, rows, cols, file_.part(place, data_offset_ + info.begin, info.end - info.begin)};
}

DenseArray SafetensorsFile::load(const std::string& name) const {
  const Dense found = dense(name);
  return make_dense(found.data, found.type, found.rows, found.cols, Order::row_major, found.info.dtype);
}

template <Real T>
Matrix<T> SafetensorsFile::matrix(const std::string& name) const {
  const Dense found = dense(name);
  return make_matrix<T>(found.data, found.type, found.rows, found.cols, Order::row_major);
}

template <Real T>
std::optional<FileLayout<T>> SafetensorsFile::layout(const std::string& name) const {
  const Dense found = dense(name);
  if (!file_.is_whole_file() || found.type != (std::is_same_v<T, float> ? FileType::f32 : FileType::f64))
    return std::nullopt;
  return FileLayout<T>{file_.name(), data_offset_ + found.info.begin, found.rows, found.cols, Order::row_major};
}

std::string find_shard(const FileBytes& index, std::string& tensor) {
  const auto fail = [&](const std::string& what) -> Error { return Error(fmt::format("{}: {}", index.name(), what)); };
  const nlohmann::json json = parse_json(index.name(), index.text());
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
    throw fail("this is no safetensors index: there is no object weight_map");
  const auto& map = json["weight_map"];
  if (tensor.empty() && map.size() == 1) tensor = map.begin().key();
  if (tensor.empty() || !map.contains(tensor)) {
    std::vector<std::string> names;
    for (const auto& [key, unused] : map.items()) names.push_back(key);
    if (tensor.empty())
      throw fail(
          fmt::format("the index names {} tensors; name one after a colon: {}", names.size(), first_names(names)));
    throw fail(
        fmt::format("there is no tensor {} in weight_map; there are: {}", in_quotes(tensor), first_names(names)));
  }
  if (!map[tensor].is_string()) throw fail(fmt::format("weight_map: the file of {} is no string", in_quotes(tensor)));
  const std::string shard = map[tensor].get<std::string>();
  // A shard stands beside its index; a name that leads elsewhere is not to be trusted.
  if (shard.empty() || shard.find('/') != std::string::npos || shard == ".." || shard == ".")
    throw fail(fmt::format("weight_map: {} is no file beside the index", in_quotes(shard)));
  return (std::filesystem::path(index.name()).parent_path() / shard).string();
}

template Matrix<float> SafetensorsFile::matrix<float>(const std::string&) const;
template Matrix<double> SafetensorsFile::matrix<double>(const std::string&) const;
template std::optional<FileLayout<float>> SafetensorsFile::layout<float>(const std::string&) const;
template std::optional<FileLayout<double>> SafetensorsFile::layout<double>(const std::string&) const;

}  // namespace lowrank
