#include <fmt/format.h>

#include <algorithm>
#include <lowrank/core/error.hpp>
#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/half.hpp>

namespace lowrank {
namespace {

constexpr std::int64_t exact_limit = std::int64_t{1} << 53;

/// How many values did not survive the conversion to double.
struct Rounded {
  Index count = 0;
};

template <class From, class T>
void convert(const std::byte* from, T* to, Index count, Rounded& rounded) {
  for (Index i = 0; i < count; ++i) {
    const From value = read_number<From>(from + i * static_cast<Index>(sizeof(From)));
    to[i] = static_cast<T>(value);
    if constexpr (std::is_integral_v<From> && sizeof(From) == 8) {
      if constexpr (std::is_signed_v<From>)
        rounded.count += value > exact_limit || value < -exact_limit;
      else
        rounded.count += value > static_cast<From>(exact_limit);
    }
  }
}

template <class T, class Widen>
void convert_half(const std::byte* from, T* to, Index count, Widen widen) {
  for (Index i = 0; i < count; ++i) to[i] = static_cast<T>(widen(read_number<std::uint16_t>(from + 2 * i)));
}

template <class T>
Rounded convert_all(FileType type, const std::byte* from, T* to, Index count) {
  Rounded rounded;
  switch (type) {
    case FileType::f64:
      convert<double>(from, to, count, rounded);
      break;
    case FileType::f32:
      convert<float>(from, to, count, rounded);
      break;
    case FileType::f16:
      convert_half(from, to, count, float16_to_float);
      break;
    case FileType::bf16:
      convert_half(from, to, count, bfloat16_to_float);
      break;
    case FileType::i8:
      convert<std::int8_t>(from, to, count, rounded);
      break;
    case FileType::i16:
      convert<std::int16_t>(from, to, count, rounded);
      break;
    case FileType::i32:
      convert<std::int32_t>(from, to, count, rounded);
      break;
    case FileType::i64:
      convert<std::int64_t>(from, to, count, rounded);
      break;
    case FileType::u8:
      convert<std::uint8_t>(from, to, count, rounded);
      break;
    case FileType::u16:
      convert<std::uint16_t>(from, to, count, rounded);
      break;
    case FileType::u32:
      convert<std::uint32_t>(from, to, count, rounded);
      break;
    case FileType::u64:
      convert<std::uint64_t>(from, to, count, rounded);
      break;
    case FileType::boolean:
      for (Index i = 0; i < count; ++i) to[i] = static_cast<T>(from[i] != std::byte{0});
      break;
  }
  return rounded;
}

void check_length(const FileBytes& bytes, FileType type, Index rows, Index cols) {
  const Index due = checked_product(checked_product(rows, cols), bytes_of(type));
  if (due != bytes.size())
    throw std::invalid_argument(fmt::format("{}: {} bytes are no {}x{} matrix of {}-byte numbers", bytes.name(),
                                            bytes.size(), rows, cols, bytes_of(type)));
}

Index leading_dimension(Index rows, Index cols, Order order) {
  return std::max<Index>(1, order == Order::col_major ? rows : cols);
}

template <Real T>
Matrix<T> adopt_or_copy(const FileBytes& bytes, Index rows, Index cols, Order order) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0 && bytes.size() > 0) {
    // The bytes are private to this process (see FileBytes), so they may be written to.
    auto* data = const_cast<T*>(reinterpret_cast<const T*>(bytes.data()));
    return {bytes.memory(), MatrixView<T>(data, rows, cols, leading_dimension(rows, cols, order), order)};
  }
  Matrix<T> result(rows, cols, order);
  if (bytes.size() > 0) std::memcpy(result.data(), bytes.data(), bytes.bytes().size());
  return result;
}

template <Real T>
void scatter(MatrixView<const T> from, Order order, const std::function<void(std::span<const std::byte>)>& take) {
  // Lines are the rows of a row-major file, the columns of the other.
  const MatrixView<const T> lines = order == Order::row_major ? from : from.transposed();
  constexpr Index piece_entries = (Index{1} << 17) / static_cast<Index>(sizeof(T));
  const Index cols = lines.cols(), band = std::clamp<Index>(piece_entries / std::max<Index>(cols, 1), 16, 4096);
  std::vector<T> buffer;
  for (Index first = 0; first < lines.rows(); first += band) {
    const Index count = std::min(band, lines.rows() - first);
    buffer.resize(static_cast<std::size_t>(count * cols));
    for (Index j = 0; j < cols; ++j)
      for (Index i = 0; i < count; ++i) buffer[static_cast<std::size_t>(i * cols + j)] = lines(first + i, j);
    take(std::as_bytes(std::span(buffer)));
  }
}

}  // namespace

Index bytes_of(FileType type) {
  switch (type) {
    case FileType::f64:
    case FileType::i64:
    case FileType::u64:
      return 8;
    case FileType::f32:
    case FileType::i32:
    case FileType::u32:
      return 4;
    case FileType::f16:
    case FileType::bf16:
    case FileType::i16:
    case FileType::u16:
      return 2;
    default:
      return 1;
  }
}

template <Real T>
Matrix<T> make_matrix(const FileBytes& bytes, FileType type, Index rows, Index cols, Order order) {
  check_length(bytes, type, rows, cols);
  if (type == (std::is_same_v<T, float> ? FileType::f32 : FileType::f64))
    return adopt_or_copy<T>(bytes, rows, cols, order);
  Matrix<T> result(rows, cols, order);
  convert_all<T>(type, bytes.data(), result.data(), rows * cols);
  return result;
}

DenseArray make_dense(const FileBytes& bytes, FileType type, Index rows, Index cols, Order order, std::string dtype) {
  check_length(bytes, type, rows, cols);
  DenseArray result{{}, std::move(dtype), {}};
  if (type == FileType::f64) {
    result.values = adopt_or_copy<double>(bytes, rows, cols, order);
  } else if (type == FileType::f32) {
    result.values = adopt_or_copy<float>(bytes, rows, cols, order);
  } else if (type == FileType::f16 || type == FileType::bf16) {
    result.values = make_matrix<float>(bytes, type, rows, cols, order);
    result.notes.push_back(fmt::format("{} was converted to f32", result.dtype));
  } else {
    Matrix<double> values(rows, cols, order);
    const Rounded rounded = convert_all<double>(type, bytes.data(), values.data(), rows * cols);
    result.values = std::move(values);
    result.notes.push_back(fmt::format("{} was converted to f64", result.dtype));
    if (rounded.count > 0) result.notes.push_back(fmt::format("{} integers beyond 2^53 were rounded", rounded.count));
  }
  return result;
}

std::string shape_text(const std::vector<Index>& shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 20;
  const std::size_t count = std::min(names.size(), shown), more = names.size() - count;
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

template <Real T>
void for_each_piece(MatrixView<const T> values, Order order,
                    const std::function<void(std::span<const std::byte>)>& take) {
  if (&values.device() != &host_device())
    throw std::invalid_argument("only a matrix on the host can be written to a file");
  if (values.empty()) return;
  if (values.order() != order) return scatter(values, order, take);
  const Index lines = order == Order::row_major ? values.rows() : values.cols();
  const Index length = order == Order::row_major ? values.cols() : values.rows();
  if (values.ld() == length)
    return take(std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size()))));
  for (Index i = 0; i < lines; ++i)
    take(std::as_bytes(std::span(values.data() + i * values.ld(), static_cast<std::size_t>(length))));
}

template void for_each_piece<float>(MatrixView<const float>, Order,
                                    const std::function<void(std::span<const std::byte>)>&);
template void for_each_piece<double>(MatrixView<const double>, Order,
                                     const std::function<void(std::span<const std::byte>)>&);
template Matrix<float> make_matrix<float>(const FileBytes&, FileType, Index, Index, Order);
template Matrix<double> make_matrix<double>(const FileBytes&, FileType, Index, Index, Order);

}  // namespace lowrank
