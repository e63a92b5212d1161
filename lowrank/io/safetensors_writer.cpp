#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <lowrank/core/error.hpp>
#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/half.hpp>
#include <lowrank/io/json_text.hpp>
#include <lowrank/io/safetensors.hpp>

namespace lowrank {
namespace {

/// Writes numbers of T in another type.
template <class T, class To, class Narrow>
void write_as(AtomicFile& file, std::span<const std::byte> piece, Narrow narrow) {
  std::vector<To> buffer;
  constexpr std::size_t batch = 1 << 15;
  for (std::size_t first = 0; first < piece.size() / sizeof(T); first += batch) {
    const std::size_t count = std::min(batch, piece.size() / sizeof(T) - first);
    buffer.resize(count);
    for (std::size_t i = 0; i < count; ++i) buffer[i] = narrow(read_number<T>(piece.data() + (first + i) * sizeof(T)));
    file.write(std::as_bytes(std::span(buffer)));
  }
}

template <Real T>
void write_values(AtomicFile& file, MatrixView<const T> values, const std::string& dtype, SafetensorsReport& report) {
  const auto to_half = [&](HalfFormat format) {
    return [&report, format](T value) {
      const std::uint16_t bits = round_to_half(static_cast<double>(value), format);
      const int exponent_mask = ((1 << format.exponent_bits) - 1) << format.mantissa_bits;
      report.overflowed += std::isfinite(value) && (bits & exponent_mask) == exponent_mask;
      return bits;
    };
  };
  for_each_piece<T>(values, Order::row_major, [&](std::span<const std::byte> piece) {
    if (dtype == (std::is_same_v<T, float> ? "F32" : "F64"))
      file.write(piece);
    else if (dtype == "F64")
      write_as<T, double>(file, piece, [](T value) { return static_cast<double>(value); });
    else if (dtype == "F32")
      write_as<T, float>(file, piece, [&report](T value) {
        const auto narrow = static_cast<float>(value);
        report.overflowed += std::isfinite(value) && !std::isfinite(narrow);
        return narrow;
      });
    else
      write_as<T, std::uint16_t>(file, piece, to_half(dtype == "F16" ? float16_format : bfloat16_format));
  });
}

std::string dtype_or_own(const std::string& name, const std::string& dtype, const char* own) {
  if (dtype.empty()) return own;
  if (dtype != "F64" && dtype != "F32" && dtype != "F16" && dtype != "BF16")
    throw std::invalid_argument(
        fmt::format("SafetensorsWriter: {}: {} is none of F64, F32, F16 and BF16", name, in_quotes(dtype)));
  return dtype;
}

}  // namespace

void SafetensorsWriter::add_entry(Entry entry) {
  if (entry.name.empty() || entry.name == "__metadata__")
    throw std::invalid_argument(fmt::format("SafetensorsWriter: {} cannot name a tensor", in_quotes(entry.name)));
  const auto same = [&](const Entry& other) { return other.name == entry.name; };
  if (std::any_of(entries_.begin(), entries_.end(), same))
    throw std::invalid_argument(fmt::format("SafetensorsWriter: {} is given twice", in_quotes(entry.name)));
  entries_.push_back(std::move(entry));
}

template <Real T>
void SafetensorsWriter::add(const std::string& name, MatrixView<const T> values, const std::string& dtype) {
  add_entry({name,
             dtype_or_own(name, dtype, std::is_same_v<T, float> ? "F32" : "F64"),
             {values.rows(), values.cols()},
             values});
}

template <Real T>
void SafetensorsWriter::add_vector(const std::string& name, MatrixView<const T> values, const std::string& dtype) {
  if (values.cols() != 1 && values.rows() != 1)
    throw std::invalid_argument(
        fmt::format("SafetensorsWriter: {} of {}x{} is no vector", name, values.rows(), values.cols()));
  add_entry({name, dtype_or_own(name, dtype, std::is_same_v<T, float> ? "F32" : "F64"), {values.size()}, values});
}

void SafetensorsWriter::add_bytes(const std::string& name, const std::string& dtype, std::vector<Index> shape,
                                  std::span<const std::byte> bytes) {
  if (safetensors_bits(dtype) == 0)
    throw std::invalid_argument(fmt::format("SafetensorsWriter: {}: the dtype {} is unknown", name, in_quotes(dtype)));
  if (std::any_of(shape.begin(), shape.end(), [](Index size) { return size < 0; }))
    throw std::invalid_argument(
        fmt::format("SafetensorsWriter: {}: the shape {} has a negative size", name, shape_text(shape)));
  const Index due = safetensors_bytes(dtype, shape);
  if (due != static_cast<Index>(bytes.size()))
    throw std::invalid_argument(fmt::format("SafetensorsWriter: {}: the shape {} of {} needs {} bytes, not {}", name,
                                            shape_text(shape), dtype, due, bytes.size()));
  add_entry({name, dtype, std::move(shape), bytes});
}

std::vector<const SafetensorsWriter::Entry*> SafetensorsWriter::sorted() const {
  std::vector<const Entry*> entries;
  for (const Entry& entry : entries_) entries.push_back(&entry);
  // The widest elements first keep all tensors aligned.
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    return std::pair(-safetensors_bits(a->dtype), a->name) < std::pair(-safetensors_bits(b->dtype), b->name);
  });
  return entries;
}

std::string SafetensorsWriter::header(const std::vector<const Entry*>& entries) const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata_.empty()) json["__metadata__"] = metadata_;
  Index at = 0;
  for (const Entry* entry : entries) {
    const Index end = at + safetensors_bytes(entry->dtype, entry->shape);
    json[entry->name] = {{"dtype", entry->dtype}, {"shape", entry->shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text;
  try {
    text = json.dump();
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument("SafetensorsWriter: a name or the metadata are not in UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

SafetensorsReport SafetensorsWriter::write(const std::string& path) const {
  AtomicFile file(path);
  const SafetensorsReport report = write(file);
  file.commit();
  return report;
}

SafetensorsReport SafetensorsWriter::write(AtomicFile& file) const {
  const auto entries = sorted();
  const std::string text = header(entries);
  const auto length = static_cast<std::uint64_t>(text.size());
  file.write(&length, sizeof length);
  file.write(text);
  SafetensorsReport report;
  for (const Entry* entry : entries) {
    if (const auto* floats = std::get_if<MatrixView<const float>>(&entry->source))
      write_values(file, *floats, entry->dtype, report);
    if (const auto* doubles = std::get_if<MatrixView<const double>>(&entry->source))
      write_values(file, *doubles, entry->dtype, report);
    if (const auto* bytes = std::get_if<std::span<const std::byte>>(&entry->source)) file.write(*bytes);
  }
  return report;
}

#define LOWRANK_INSTANTIATE(T)                                                                          \
  template void SafetensorsWriter::add<T>(const std::string&, MatrixView<const T>, const std::string&); \
  template void SafetensorsWriter::add_vector<T>(const std::string&, MatrixView<const T>, const std::string&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
