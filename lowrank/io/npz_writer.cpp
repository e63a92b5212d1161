#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <lowrank/io/npz.hpp>

namespace lowrank {
namespace {

constexpr Index in_zip64 = 0xffffffff;

template <class Number>
void put(std::string& to, Number value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint32_t low32(Index value) { return static_cast<std::uint32_t>(std::min(value, in_zip64)); }

/// The fields that a local and a central header share, up to the length of the extra field.
void put_common(std::string& to, const NpzFile::Member& member, bool zip64, std::uint16_t extra_length) {
  constexpr std::uint16_t utf8_name = 1 << 11, midnight = 0, first_of_1980 = 0x21;
  put<std::uint16_t>(to, zip64 ? 45 : 20);
  put(to, utf8_name);
  put<std::uint16_t>(to, 0);  // stored
  put(to, midnight);
  put(to, first_of_1980);
  put(to, member.crc);
  put(to, zip64 ? std::uint32_t{in_zip64} : low32(member.packed_size));
  put(to, zip64 ? std::uint32_t{in_zip64} : low32(member.size));
  put(to, static_cast<std::uint16_t>(member.name.size()));
  put(to, extra_length);
}

std::string local_header(const NpzFile::Member& member) {
  const bool zip64 = member.size >= in_zip64;
  std::string header;
  put<std::uint32_t>(header, 0x04034b50);
  put_common(header, member, zip64, zip64 ? 20 : 0);
  header += member.name;
  if (zip64) {
    put<std::uint16_t>(header, 1);
    put<std::uint16_t>(header, 16);
    put<std::uint64_t>(header, static_cast<std::uint64_t>(member.size));
    put<std::uint64_t>(header, static_cast<std::uint64_t>(member.packed_size));
  }
  return header;
}

std::string central_header(const NpzFile::Member& member) {
  const bool zip64 = member.size >= in_zip64, far = member.header_offset >= in_zip64;
  const auto fields = static_cast<std::uint16_t>((zip64 ? 16 : 0) + (far ? 8 : 0));
  std::string header;
  put<std::uint32_t>(header, 0x02014b50);
  put<std::uint16_t>(header, 45 | 3 << 8);  // made on a Unix
  put_common(header, member, zip64, fields > 0 ? static_cast<std::uint16_t>(fields + 4) : std::uint16_t{0});
  put<std::uint16_t>(header, 0);  // comment
  put<std::uint16_t>(header, 0);  // disk
  put<std::uint16_t>(header, 0);
  put<std::uint32_t>(header, 0644u << 16 | 0100000u << 16);
  put(header, low32(member.header_offset));
  header += member.name;
  if (fields > 0) {
    put<std::uint16_t>(header, 1);
    put(header, fields);
  }
  if (zip64) {
    put<std::uint64_t>(header, static_cast<std::uint64_t>(member.size));
    put<std::uint64_t>(header, static_cast<std::uint64_t>(member.packed_size));
  }
  if (far) put<std::uint64_t>(header, static_cast<std::uint64_t>(member.header_offset));
  return header;
}

std::string end_records(Index entries, Index offset, Index size) {
  std::string end;
  if (entries >= 0xffff || offset >= in_zip64 || size >= in_zip64) {
    put<std::uint32_t>(end, 0x06064b50);
    put<std::uint64_t>(end, 44);
    put<std::uint16_t>(end, 45 | 3 << 8);
    put<std::uint16_t>(end, 45);
    put<std::uint32_t>(end, 0);
    put<std::uint32_t>(end, 0);
    put<std::uint64_t>(end, static_cast<std::uint64_t>(entries));
    put<std::uint64_t>(end, static_cast<std::uint64_t>(entries));
    put<std::uint64_t>(end, static_cast<std::uint64_t>(size));
    put<std::uint64_t>(end, static_cast<std::uint64_t>(offset));
    put<std::uint32_t>(end, 0x07064b50);
    put<std::uint32_t>(end, 0);
    put<std::uint64_t>(end, static_cast<std::uint64_t>(offset + size));
    put<std::uint32_t>(end, 1);
  }
  const auto short_entries = static_cast<std::uint16_t>(std::min<Index>(entries, 0xffff));
  put<std::uint32_t>(end, 0x06054b50);
  put<std::uint32_t>(end, 0);
  put(end, short_entries);
  put(end, short_entries);
  put(end, low32(size));
  put(end, low32(offset));
  put<std::uint16_t>(end, 0);
  return end;
}

}  // namespace

template <Real T>
void NpzWriter::add(const std::string& name, MatrixView<const T> values, Order order, int dimensions) {
  if (name.empty() || name.size() > 65000)
    throw std::invalid_argument(fmt::format("NpzWriter: {} cannot name an array", in_quotes(name)));
  if (dimensions != 2 && (dimensions != 1 || values.cols() != 1))
    throw std::invalid_argument(fmt::format("NpzWriter: {} of {}x{} cannot have {} dimensions", name, values.rows(),
                                            values.cols(), dimensions));
  NpzFile::Member member;
  member.name = name + ".npy";
  const auto same = [&](const NpzFile::Member& other) { return other.name == member.name; };
  if (std::any_of(members_.begin(), members_.end(), same))
    throw std::invalid_argument(fmt::format("NpzWriter: {} is given twice", in_quotes(name)));
  const std::string header = npy_header<T>(values.rows(), values.cols(), order, dimensions);
  // The checksum stands before the data, so it takes a pass of its own.
  auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
  for_each_piece<T>(values, order, [&](std::span<const std::byte> piece) {
    crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
  });
  member.crc = static_cast<std::uint32_t>(crc);
  member.size = member.packed_size = static_cast<Index>(header.size()) + values.size() * static_cast<Index>(sizeof(T));
  member.header_offset = file_.position();
  file_.write(local_header(member));
  file_.write(header);
  for_each_piece<T>(values, order, [&](std::span<const std::byte> piece) { file_.write(piece); });
  members_.push_back(member);
}

void NpzWriter::commit() {
  const Index offset = file_.position();
  for (const auto& member : members_) file_.write(central_header(member));
  file_.write(end_records(static_cast<Index>(members_.size()), offset, file_.position() - offset));
  file_.commit();
}

template void NpzWriter::add<float>(const std::string&, MatrixView<const float>, Order, int);
template void NpzWriter::add<double>(const std::string&, MatrixView<const double>, Order, int);

}  // namespace lowrank
