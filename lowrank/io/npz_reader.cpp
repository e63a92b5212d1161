#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <lowrank/core/error.hpp>
#include <lowrank/io/gzip.hpp>
#include <lowrank/io/npz.hpp>
#include <set>

// The format: PKWARE APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its
// end), 4.5.3 (zip64).

namespace lowrank {
namespace {

constexpr std::uint32_t local_magic = 0x04034b50, central_magic = 0x02014b50, end_magic = 0x06054b50,
                        end64_magic = 0x06064b50, locator64_magic = 0x07064b50;
constexpr std::uint32_t in_zip64 = 0xffffffff;

/// Reads fields from a place in the archive and refuses to leave it.
class Fields {
 public:
  Fields(const FileBytes& file, Index at, Index end, const char* what) : file_(file), at_(at), end_(end), what_(what) {
    if (at < 0 || at > end || end > file.size()) fail();
  }
  template <class Number>
  Number get() {
    const auto size = static_cast<Index>(sizeof(Number));
    if (end_ - at_ < size) fail();
    at_ += size;
    return read_number<Number>(file_.data() + at_ - size);
  }
  std::uint16_t u16() { return get<std::uint16_t>(); }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  Index u64() {
    const auto value = get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<Index>::max())) fail();
    return static_cast<Index>(value);
  }
  std::string_view text(Index count) {
    if (end_ - at_ < count) fail();
    at_ += count;
    return file_.text().substr(static_cast<std::size_t>(at_ - count), static_cast<std::size_t>(count));
  }
  Index at() const { return at_; }
  bool more() const { return at_ < end_; }

 private:
  [[noreturn]] void fail() const {
    throw Error(fmt::format("{}: the zip {} at byte {} is truncated or damaged", file_.name(), what_, at_));
  }
  const FileBytes& file_;
  Index at_, end_;
  const char* what_;
};

struct Directory {
  Index offset = 0, size = 0, entries = 0, end = 0;
};

/// The end record stands at the end of the file, before a comment of at most 65535 bytes.
Index find_end_record(const FileBytes& file) {
  constexpr Index record = 22;
  for (Index at = file.size() - record; at >= 0 && at >= file.size() - record - 65535; --at)
    if (read_number<std::uint32_t>(file.data() + at) == end_magic &&
        read_number<std::uint16_t>(file.data() + at + 20) == file.size() - record - at)
      return at;
  throw Error(
      fmt::format("{}: the directory at the end of the zip archive is missing: the file is truncated", file.name()));
}

Directory find_directory64(const FileBytes& file, Index end_record) {
  Fields locator(file, end_record - 20, end_record, "zip64 locator");
  if (locator.u32() != locator64_magic) throw Error(fmt::format("{}: the zip64 locator is missing", file.name()));
  locator.u32();
  const Index at = locator.u64();
  Fields end(file, at, end_record - 20, "zip64 end record");
  if (end.u32() != end64_magic)
    throw Error(fmt::format("{}: the zip64 end record is missing at byte {}", file.name(), at));
  end.text(8 + 2 + 2 + 4 + 4 + 8);
  Directory directory;
  directory.entries = end.u64();
  directory.size = end.u64();
  directory.offset = end.u64();
  directory.end = at;
  return directory;
}

Directory find_directory(const FileBytes& file) {
  const Index at = find_end_record(file);
  Fields end(file, at + 4, file.size(), "end record");
  const auto disk = end.u16(), directory_disk = end.u16();
  if ((disk != 0 && disk != 0xffff) || (directory_disk != 0 && directory_disk != 0xffff))
    throw Error(fmt::format("{}: the zip archive is one of several disks", file.name()));
  end.u16();
  Directory directory;
  directory.entries = end.u16();
  directory.size = end.u32();
  directory.offset = end.u32();
  directory.end = at;
  if (directory.entries == 0xffff || directory.size == in_zip64 || directory.offset == in_zip64)
    directory = find_directory64(file, at);
  if (directory.offset > directory.end || directory.size != directory.end - directory.offset)
    throw Error(fmt::format("{}: the zip directory should be {} bytes at {}, but ends at {}", file.name(),
                            directory.size, directory.offset, directory.end));
  return directory;
}

/// Sizes beyond 32 bits stand in the extra field 1, in this order, only those that are marked.
void read_zip64_extra(Fields& extra, NpzFile::Member& member) {
  if (member.size == in_zip64) member.size = extra.u64();
  if (member.packed_size == in_zip64) member.packed_size = extra.u64();
  if (member.header_offset == in_zip64) member.header_offset = extra.u64();
}

NpzFile::Member read_entry(const FileBytes& file, Fields& fields) {
  NpzFile::Member member;
  if (fields.u32() != central_magic)
    throw Error(fmt::format("{}: the zip directory is damaged at byte {}", file.name(), fields.at() - 4));
  fields.u16(), fields.u16();
  const auto flags = fields.u16();
  member.method = fields.u16();
  fields.u32();
  member.crc = fields.u32();
  member.packed_size = fields.u32();
  member.size = fields.u32();
  const auto name_length = fields.u16(), extra_length = fields.u16(), comment_length = fields.u16();
  fields.text(2 + 2 + 4);
  member.header_offset = fields.u32();
  member.name = fields.text(name_length);
  const Index extra_end = fields.at() + extra_length;
  fields.text(extra_length);
  Fields extra(file, extra_end - extra_length, extra_end, "extra field");
  while (extra_end - extra.at() >= 4) {
    const auto kind = extra.u16(), length = extra.u16();
    Fields field(file, extra.at(), extra.at() + length, "extra field");
    if (kind == 1) read_zip64_extra(field, member);
    extra.text(length);
  }
  fields.text(comment_length);
  if ((flags & 1) != 0) throw Error(fmt::format("{}: the member {} is encrypted", file.name(), in_quotes(member.name)));
  if (member.name.ends_with(".npy")) member.name.resize(member.name.size() - 4);
  return member;
}

std::string names_of(const std::vector<NpzFile::Member>& members) {
  std::vector<std::string_view> names;
  for (const auto& member : members) names.push_back(member.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

bool is_zip(const FileBytes& file) { return file.starts_with("PK\x03\x04") || file.starts_with("PK\x05\x06"); }

NpzFile::NpzFile(FileBytes file) : file_(std::move(file)) {
  const Directory directory = find_directory(file_);
  Fields fields(file_, directory.offset, directory.end, "directory");
  std::set<std::string> names;
  while (fields.more()) {
    members_.push_back(read_entry(file_, fields));
    if (!names.insert(members_.back().name).second)
      throw Error(fmt::format("{}: two members are named {}", file_.name(), in_quotes(members_.back().name)));
  }
  if (static_cast<Index>(members_.size()) != directory.entries)
    throw Error(fmt::format("{}: the zip directory lists {} members, but declares {}", file_.name(), members_.size(),
                            directory.entries));
}

const NpzFile::Member& NpzFile::find(const std::string& name) const {
  if (members_.empty()) throw Error(fmt::format("{}: the archive holds no arrays", file_.name()));
  if (name.empty() && members_.size() == 1) return members_.front();
  if (name.empty())
    throw Error(fmt::format("{}: the archive holds {} arrays; name one after a colon: {}", file_.name(),
                            members_.size(), names_of(members_)));
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const Member& m) { return m.name == name || m.name + ".npy" == name; });
  if (found == members_.end())
    throw Error(
        fmt::format("{}: there is no array {}; there are: {}", file_.name(), in_quotes(name), names_of(members_)));
  return *found;
}

FileBytes NpzFile::unpack(const Member& member) const {
  const std::string name = file_.name() + ":" + member.name;
  Fields local(file_, member.header_offset, file_.size(), "local header");
  if (local.u32() != local_magic)
    throw Error(fmt::format("{}: there is no zip header at byte {}", name, member.header_offset));
  local.text(22);
  const auto name_length = local.u16(), extra_length = local.u16();
  local.text(name_length + extra_length);
  if (member.packed_size > file_.size() - local.at())
    throw Error(fmt::format("{}: {} bytes are declared at byte {}, but the file ends at {}", name, member.packed_size,
                            local.at(), file_.size()));
  const FileBytes packed = file_.part(name, local.at(), member.packed_size);
  if (member.method != 0 && member.method != 8)
    throw Error(fmt::format("{}: packed by method {}{}; only stored and deflated members can be read", name,
                            member.method,
                            member.method == 12   ? " (bzip2)"
                            : member.method == 14 ? " (lzma)"
                            : member.method == 93 ? " (zstd)"
                                                  : ""));
  if (member.method == 0 && member.packed_size != member.size)
    throw Error(fmt::format("{}: a stored member of {} bytes declares {}", name, member.packed_size, member.size));
  const FileBytes bytes = member.method == 0 ? packed : inflate_raw(packed, member.size);
  const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.bytes().size());
  if (crc != member.crc)
    throw Error(
        fmt::format("{}: the checksum is {:08x}, but {:08x} is declared: the data are damaged", name, crc, member.crc));
  return bytes;
}

DenseArray NpzFile::load(const std::string& name) const { return read_npy(unpack(find(name))); }

}  // namespace lowrank
