#include <fmt/core.h>
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <array>
#include <lowrank/core/error.hpp>
#include <lowrank/io/gzip.hpp>

namespace lowrank {
namespace {

/// zlib takes 32-bit counts.
constexpr Index piece = Index{1} << 30;

class Inflater {
 public:
  Inflater(const FileBytes& packed, int window_bits) : packed_(packed) {
    if (::inflateInit2(&stream_, window_bits) != Z_OK) throw Error(fmt::format("{}: zlib cannot start", packed.name()));
    stream_.next_in = reinterpret_cast<const Bytef*>(packed.data());
  }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Index consumed() const { return reinterpret_cast<const std::byte*>(stream_.next_in) - packed_.data(); }
  Index left() const { return packed_.size() - consumed(); }
  void restart() { ::inflateReset(&stream_); }

  /// Fills `room` as far as there is data; returns the bytes had and whether the stream has ended.
  std::pair<Index, bool> fill(std::span<std::byte> room) {
    const Index wanted = std::min(piece, static_cast<Index>(room.size()));
    stream_.next_out = reinterpret_cast<Bytef*>(room.data());
    stream_.avail_out = static_cast<uInt>(wanted);
    int status = Z_OK;
    while (stream_.avail_out > 0 && status == Z_OK) {
      if (stream_.avail_in == 0) stream_.avail_in = static_cast<uInt>(std::min(piece, left()));
      if (stream_.avail_in == 0)
        throw Error(fmt::format("{}: the compressed data end too early, at byte {}", packed_.name(), packed_.size()));
      status = ::inflate(&stream_, Z_NO_FLUSH);
    }
    if (status != Z_OK && status != Z_STREAM_END)
      throw Error(fmt::format("{}: the compressed data are damaged at byte {}: {}", packed_.name(), consumed(),
                              stream_.msg != nullptr ? stream_.msg : ::zError(status)));
    return {wanted - stream_.avail_out, status == Z_STREAM_END};
  }

 private:
  const FileBytes& packed_;
  z_stream stream_{};
};

}  // namespace

bool is_gzip(const FileBytes& file) { return file.starts_with("\x1f\x8b"); }

FileBytes gunzip(const FileBytes& file, Index limit) {
  constexpr int gzip_only = 15 + 16;
  Inflater inflater(file, gzip_only);
  ByteBuffer buffer(file.name());
  for (;;) {
    const auto [count, ended] = inflater.fill(buffer.room(1 << 18));
    buffer.advance(count);
    if (buffer.size() > limit)
      throw Error(fmt::format("{}: unpacks to more than the {} bytes that are due", file.name(), limit));
    if (!ended) continue;
    const Index at = inflater.consumed();
    const FileBytes rest = file.part(file.name(), at, inflater.left());
    // Tapes and block devices pad with zeros; gzip(1) passes them over, too.
    if (rest.text().find_first_not_of('\0') == std::string_view::npos) return buffer.finish();
    if (!is_gzip(rest))
      throw Error(fmt::format("{}: {} bytes follow the compressed data at byte {}", file.name(), inflater.left(), at));
    inflater.restart();
  }
}

FileBytes inflate_raw(const FileBytes& packed, Index size) {
  // Deflate cannot pack better than 1032 to 1, so a lying size is found before memory is taken.
  if (size / 1032 > packed.size() + 1)
    throw Error(fmt::format("{}: {} packed bytes cannot hold the {} bytes that are declared", packed.name(),
                            packed.size(), size));
  Inflater inflater(packed, -15);
  ByteBuffer buffer(packed.name());
  bool ended = false;
  while (!ended) {
    // One byte more than is due shows a stream that is too long.
    const Index due = size - buffer.size() + 1;
    const auto [count, end] = inflater.fill(buffer.room(due).first(static_cast<std::size_t>(due)));
    buffer.advance(count);
    ended = end;
    if (buffer.size() > size)
      throw Error(fmt::format("{}: unpacks to more than the {} bytes that are declared", packed.name(), size));
  }
  if (buffer.size() != size || inflater.left() != 0)
    throw Error(fmt::format("{}: unpacks to {} bytes, but {} are declared", packed.name(), buffer.size(), size));
  return buffer.finish();
}

struct TextFile::Packer {
  z_stream stream{};
  std::array<Bytef, 1 << 16> out;

  Packer() {
    // Level 6, gzip wrapper.
    if (::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw Error("zlib cannot start");
  }
  ~Packer() { ::deflateEnd(&stream); }

  void pack(std::string_view text, int flush, AtomicFile& file) {
    stream.next_in = reinterpret_cast<const Bytef*>(text.data());
    stream.avail_in = static_cast<uInt>(text.size());
    do {
      stream.next_out = out.data();
      stream.avail_out = static_cast<uInt>(out.size());
      ::deflate(&stream, flush);
      file.write(out.data(), static_cast<Index>(out.size() - stream.avail_out));
    } while (stream.avail_out == 0);
  }
};

TextFile::TextFile(const std::string& path) : file_(path) {
  if (path.ends_with(".gz")) packer_ = std::make_unique<Packer>();
}

TextFile::~TextFile() = default;

void TextFile::write(std::string_view text) {
  if (!packer_) return file_.write(text);
  for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(text.size(), piece)))
    packer_->pack(text.substr(0, piece), Z_NO_FLUSH, file_);
}

void TextFile::commit() {
  if (packer_) packer_->pack({}, Z_FINISH, file_);
  file_.commit();
}

}  // namespace lowrank
