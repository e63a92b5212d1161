#include <fmt/format.h>

#include <charconv>
#include <lowrank/core/error.hpp>
#include <lowrank/io/npy.hpp>
#include <map>

namespace lowrank {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

/// The header's text: a Python dict literal of a string, a bool and a tuple of integers, in any order.
class HeaderParser {
 public:
  HeaderParser(const std::string& name, std::string_view text, Index at) : name_(name), text_(text), at_(at) {}

  void parse(NpyHeader& header) {
    expect('{');
    bool descr = false, order = false, shape = false;
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        if (peek() == '[') fail("the dtype is structured; a matrix has numbers of one type");
        header.descr = string();
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.order = boolean() ? Order::col_major : Order::row_major;
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = tuple();
        shape = true;
      } else {
        fail(fmt::format("the key {} is unknown or given twice", in_quotes(key)));
      }
      if (!accept(',') && peek() != '}') fail("',' or '}' is due");
    }
    if (!descr || !order || !shape) fail("one of descr, fortran_order and shape is missing");
    if (peek() != '\0' || next_ < text_.size()) fail("text follows the closing '}'");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}: npy header, byte {}: {}", name_, at_ + static_cast<Index>(next_), what));
  }
  char peek() {
    while (next_ < text_.size() && std::string_view(" \t\r\n").find(text_[next_]) != std::string_view::npos) ++next_;
    return next_ < text_.size() ? text_[next_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c || next_ >= text_.size()) return false;
    ++next_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is due", c));
  }
  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("a quoted string is due");
    const std::size_t end = text_.find(quote, next_ + 1);
    if (end == std::string_view::npos) fail("a string does not end");
    const std::string value(text_.substr(next_ + 1, end - next_ - 1));
    next_ = end + 1;
    return value;
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(next_, word.size()) != word) continue;
      next_ += word.size();
      return word == "True";
    }
    fail("True or False is due");
  }
  std::vector<Index> tuple() {
    std::vector<Index> values;
    expect('(');
    while (!accept(')')) {
      peek();
      Index value = 0;
      const auto [end, error] = std::from_chars(text_.data() + next_, text_.data() + text_.size(), value);
      if (error == std::errc::result_out_of_range) fail("a dimension does not fit in 63 bits");
      if (error != std::errc() || value < 0) fail("a dimension is due");
      next_ = static_cast<std::size_t>(end - text_.data());
      if (next_ < text_.size() && text_[next_] == 'L') ++next_;  // as Python 2 wrote it
      values.push_back(value);
      if (values.size() > 64) fail("more than 64 dimensions");
      const bool comma = accept(',');
      if (!comma && (values.size() == 1 || peek() != ')')) fail("',' is due");
    }
    return values;
  }

  const std::string& name_;
  std::string_view text_;
  Index at_;
  std::size_t next_ = 0;
};

FileType file_type(const FileBytes& file, const std::string& descr) {
  static const std::map<std::string_view, FileType> types{
      {"f8", FileType::f64}, {"f4", FileType::f32}, {"f2", FileType::f16}, {"i1", FileType::i8},
      {"i2", FileType::i16}, {"i4", FileType::i32}, {"i8", FileType::i64}, {"u1", FileType::u8},
      {"u2", FileType::u16}, {"u4", FileType::u32}, {"u8", FileType::u64}, {"b1", FileType::boolean}};
  const auto refuse = [&](std::string_view what) -> Error {
    return Error(fmt::format("{}: npy header: the dtype {} is {}", file.name(), in_quotes(descr), what));
  };
  if (descr.size() < 2) throw refuse("none that NumPy writes");
  const std::string_view kind = std::string_view(descr).substr(1);
  const auto found = types.find(kind);
  if (found == types.end()) {
    switch (kind[0]) {
      case 'c':
        throw refuse("complex; only real matrices can be read");
      case 'O':
        throw refuse("of Python objects, which cannot be read");
      case 'V':
        throw refuse("structured or raw; a matrix has numbers of one type");
      case 'S':
      case 'a':
      case 'U':
        throw refuse("of strings, not numbers");
      case 'M':
      case 'm':
        throw refuse("of times, not numbers");
      default:
        throw refuse("none of f2, f4, f8, i1 to i8, u1 to u8 and bool");
    }
  }
  const bool single_byte = bytes_of(found->second) == 1;
  if (descr[0] == '>' && !single_byte)
    throw refuse("big-endian; convert it with NumPy: a.astype(a.dtype.newbyteorder('<'))");
  if (descr[0] != '<' && descr[0] != '=' && !(single_byte && (descr[0] == '|' || descr[0] == '>')))
    throw refuse("of unknown byte order");
  return found->second;
}

void check_length(const FileBytes& file, const NpyHeader& header) {
  const Index have = file.size() - header.data_offset;
  Index due = 0;
  if (__builtin_mul_overflow(header.rows, header.cols, &due) ||
      __builtin_mul_overflow(due, bytes_of(header.type), &due))
    throw Error(fmt::format("{}: npy header: the size of the shape {} does not fit in 63 bits", file.name(),
                            shape_text(header.shape)));
  if (due != have)
    throw Error(fmt::format("{}: the file is {}: the shape {} of {} needs {} bytes of data, but {} follow the header",
                            file.name(), have < due ? "truncated" : "too long", shape_text(header.shape), header.descr,
                            due, have));
}

Error header_error(const FileBytes& file, const std::string& what) {
  return Error(fmt::format("{}: npy header: {}", file.name(), what));
}

/// What the header says, but for what follows from the type and the shape.
NpyHeader parse_text(const FileBytes& file) {
  const auto fail = [&](const std::string& what) { return header_error(file, what); };
  if (!is_npy(file)) throw fail("the file does not begin with \\x93NUMPY");
  if (file.size() < 10) throw fail("the file is truncated");
  const int major = static_cast<int>(file.bytes()[6]), minor = static_cast<int>(file.bytes()[7]);
  if (major < 1 || major > 3 || minor != 0)
    throw fail(fmt::format("version {}.{} is unknown (1.0 to 3.0 are known)", major, minor));
  const Index start = major == 1 ? 10 : 12;
  if (file.size() < start) throw fail("the file is truncated");
  const Index length =
      major == 1 ? read_number<std::uint16_t>(file.data() + 8) : read_number<std::uint32_t>(file.data() + 8);
  if (length > file.size() - start)
    throw fail(fmt::format("it should be {} bytes long, but only {} follow: the file is truncated", length,
                           file.size() - start));
  NpyHeader header;
  header.data_offset = start + length;
  HeaderParser(file.name(), file.text().substr(static_cast<std::size_t>(start), static_cast<std::size_t>(length)),
               start)
      .parse(header);
  return header;
}

}  // namespace

bool is_npy(const FileBytes& file) { return file.starts_with(magic); }

NpyHeader parse_npy_header(const FileBytes& file) {
  NpyHeader header = parse_text(file);
  header.type = file_type(file, header.descr);
  if (header.shape.size() > 2)
    throw header_error(
        file, fmt::format("the array has the shape {}; a matrix has at most two dimensions", shape_text(header.shape)));
  header.rows = header.shape.empty() ? 1 : header.shape[0];
  header.cols = header.shape.size() < 2 ? 1 : header.shape[1];
  check_length(file, header);
  return header;
}

DenseArray read_npy(const FileBytes& file) {
  const NpyHeader header = parse_npy_header(file);
  const FileBytes data = file.part(file.name(), header.data_offset, file.size() - header.data_offset);
  return make_dense(data, header.type, header.rows, header.cols, header.order, header.descr);
}

std::string read_npy_text(const FileBytes& file) {
  const NpyHeader header = parse_text(file);
  const bool is_text = header.descr.size() > 2 && (header.descr[1] == 'S' || header.descr[1] == 'U');
  if (!is_text || !header.shape.empty())
    throw header_error(file, fmt::format("a single string is due, not the shape {} of {}", shape_text(header.shape),
                                         in_quotes(header.descr)));
  // A character of U has four bytes, the first of which is an ASCII one's; both kinds are filled up with zeros.
  std::string text(file.text().substr(static_cast<std::size_t>(header.data_offset)));
  std::erase(text, '\0');
  return text;
}

template <Real T>
std::string npy_header(Index rows, Index cols, Order order, int dimensions) {
  const std::string shape = dimensions == 1 ? fmt::format("({},)", rows) : fmt::format("({}, {})", rows, cols);
  std::string dict = fmt::format("{{'descr': '<f{}', 'fortran_order': {}, 'shape': {}, }}", sizeof(T),
                                 order == Order::col_major ? "True" : "False", shape);
  constexpr std::size_t prefix = 10, alignment = 64;
  dict.append(alignment - 1 - (prefix + dict.size()) % alignment, ' ');
  dict += '\n';
  std::string header(magic);
  header += {'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  return header + dict;
}

template <Real T>
void save_npy(const std::string& path, MatrixView<const T> values) {
  AtomicFile file(path);
  const std::string header = npy_header<T>(values.rows(), values.cols(), values.order());
  file.reserve(static_cast<Index>(header.size()) + values.size() * static_cast<Index>(sizeof(T)));
  file.write(header);
  for_each_piece<T>(values, values.order(), [&](std::span<const std::byte> piece) { file.write(piece); });
  file.commit();
}

template <Real T>
NpyWriter<T>::NpyWriter(const std::string& path, Index rows, Index cols) : file_(path), rows_(rows), cols_(cols) {
  if (rows < 0 || cols < 0) throw std::invalid_argument(fmt::format("NpyWriter: negative size {}x{}", rows, cols));
  const std::string header = npy_header<T>(rows, cols, Order::row_major);
  file_.reserve(checked_product(checked_product(rows, cols), sizeof(T)) + static_cast<Index>(header.size()));
  file_.write(header);
}

template <Real T>
void NpyWriter<T>::append(MatrixView<const T> rows) {
  if (rows.cols() != cols_ || rows.rows() > rows_ - written_)
    throw std::invalid_argument(fmt::format("NpyWriter: a block of {}x{} does not fit in the {} rows left of {}x{}",
                                            rows.rows(), rows.cols(), rows_ - written_, rows_, cols_));
  for_each_piece<T>(rows, Order::row_major, [&](std::span<const std::byte> piece) { file_.write(piece); });
  written_ += rows.rows();
}

template <Real T>
void NpyWriter<T>::commit() {
  if (written_ != rows_)
    throw std::invalid_argument(
        fmt::format("NpyWriter: {} of {} rows of {} were written", written_, rows_, file_.path()));
  file_.commit();
}

#define LOWRANK_INSTANTIATE(T)                                        \
  template std::string npy_header<T>(Index, Index, Order, int);       \
  template void save_npy<T>(const std::string&, MatrixView<const T>); \
  template class NpyWriter<T>;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
