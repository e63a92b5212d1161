#include <fmt/format.h>

#include <algorithm>
#include <lowrank/core/error.hpp>
#include <lowrank/io/csv.hpp>
#include <lowrank/io/gzip.hpp>
#include <lowrank/io/number_text.hpp>

namespace lowrank {
namespace {

constexpr char blanks = ' ';  ///< stands for any run of blanks and tabs

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Where a comment begins: at a '#' that is not in quotes.
std::size_t find_comment(std::string_view line) {
  if (line.find('#') == std::string_view::npos) return std::string_view::npos;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    quoted ^= line[i] == '"';
    if (line[i] == '#' && !quoted) return i;
  }
  return std::string_view::npos;
}

/// The lines that hold something: without comments, line ends and a byte-order mark.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }
  bool next(std::string_view& line) {
    while (!text_.empty()) {
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      line = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++number_;
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      whole_ = line;
      line = line.substr(0, find_comment(line));
      if (!trimmed(line).empty()) return true;
    }
    return false;
  }
  Index number() const { return number_; }
  /// The last line with its comment.
  std::string_view whole() const { return whole_; }

 private:
  std::string_view text_, whole_;
  Index number_ = 0;
};

/// Cuts a line into fields.
class FieldsOfLine {
 public:
  FieldsOfLine(std::string_view line, char delimiter)
      : line_(delimiter == blanks ? trimmed(line) : line), delimiter_(delimiter) {}

  bool next(std::string_view& field) {
    if (done_) return false;
    const std::size_t end = field_end();
    field = trimmed(line_.substr(0, end));
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"') field = field.substr(1, field.size() - 2);
    done_ = end == line_.size();
    line_.remove_prefix(std::min(end + 1, line_.size()));
    if (delimiter_ == blanks) line_ = trimmed(line_);
    return true;
  }

 private:
  std::size_t field_end() const {
    std::size_t from = 0;
    // What is quoted may hold the delimiter.
    const std::size_t start = line_.find_first_not_of(" \t");
    if (start != std::string_view::npos && line_[start] == '"')
      from = std::min(line_.find('"', start + 1), line_.size());
    const std::size_t end = delimiter_ == blanks ? line_.find_first_of(" \t", from) : line_.find(delimiter_, from);
    return std::min(end, line_.size());
  }

  std::string_view line_;
  char delimiter_;
  bool done_ = false;
};

char find_delimiter(std::string_view line) {
  line = trimmed(line);
  bool quoted_part = false, comma = false, semicolon = false, tab = false;
  for (const char c : line) {
    quoted_part ^= c == '"';
    if (quoted_part) continue;
    comma |= c == ',';
    semicolon |= c == ';';
    tab |= c == '\t';
  }
  return semicolon ? ';' : comma ? ',' : tab ? '\t' : blanks;
}

/// Whether text that is no number here looks like one of another notation: 1,5  0x1F  1_000  1.5D+00  5%. Dates and
/// ranges do not: 2020-01-31  10/19.
bool looks_like_number(std::string_view field) {
  field.remove_prefix(std::min(field.find_first_not_of(" \t\"'"), field.size()));
  if (field.empty() || std::string_view("+-.0123456789").find(field.front()) == std::string_view::npos) return false;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  bool digit = false;
  char before = 0;
  for (const char c : field) {
    if (digit && (c == '/' || c == ':' || (c == '-' && is_digit(before)))) return false;
    digit |= is_digit(c);
    before = c;
    const char letter = static_cast<char>(c | 0x20);
    if (letter >= 'a' && letter <= 'z' && letter > 'f' && letter != 'x') return false;  // "1st", "3 years"
  }
  return digit;
}

/// Whether a field can be a column's name: it is not only signs, as "--" and "." for missing numbers are.
bool is_name(std::string_view field) { return field.find_first_not_of("+-._, \t\"'") != std::string_view::npos; }

struct FirstLine {
  char delimiter = ',';
  Index fields = 0, numbers = 0, names = 0;
  Index like_number = 0;  ///< the first column with what looks like a number and is none, counted from 1
  std::string_view that{};

  bool can_be_header() const { return numbers == 0 && (names > 0 || like_number > 0); }
};

FirstLine count_fields(std::string_view line, char delimiter) {
  FirstLine count{.delimiter = delimiter};
  FieldsOfLine fields(line, delimiter);
  double value = 0;
  for (std::string_view field; fields.next(field);) {
    ++count.fields;
    if (parse_double(field, value)) {
      ++count.numbers;
    } else if (looks_like_number(field)) {
      if (count.like_number == 0) count.like_number = count.fields, count.that = field;
    } else {
      count.names += is_name(field);
    }
  }
  return count;
}

FirstLine count_fields(std::string_view line) { return count_fields(line, find_delimiter(line)); }

class Table {
 public:
  Table(const FileBytes& file, char delimiter, Index cols) : file_(file), delimiter_(delimiter), cols_(cols) {
    const std::string_view text = file.text();
    const Index lines = std::count(text.begin(), text.end(), '\n') + 1;
    // A number and what separates it take two characters, so blank lines do not cost memory.
    const Index most = std::min(lines, (file.size() / 2 + 1) / cols + 1);
    values_ = Matrix<double>(most, cols, Order::row_major);
  }

  void add(std::string_view line, Index number) {
    FieldsOfLine fields(line, delimiter_);
    Index column = 0;
    double* row = values_.data() + rows_ * cols_;
    for (std::string_view field; fields.next(field); ++column) {
      if (column == cols_ || rows_ == values_.rows()) fail_ragged(line, number);
      if (!parse_double(field, row[column])) fail_word(field, number, column + 1);
      rounded_ += is_rounded_integer(field, row[column]);
    }
    if (column != cols_) fail_ragged(line, number);
    ++rows_;
  }

  Matrix<double> finish() {
    auto whole = std::make_shared<Matrix<double>>(std::move(values_));
    const MatrixView<double> used = whole->view().middle_rows(0, rows_);
    return {std::move(whole), used};
  }
  /// How many fields were integers that a double does not hold.
  Index rounded() const { return rounded_; }

 private:
  [[noreturn]] void fail_ragged(std::string_view line, Index number) const {
    const Index have = count_fields(line, delimiter_).fields;
    throw Error(fmt::format("{}: line {}, column {}: the row has {} fields, but the first one has {}", file_.name(),
                            number, std::min(have, cols_) + 1, have, cols_));
  }
  [[noreturn]] void fail_word(std::string_view field, Index number, Index column) const {
    const std::string what = field.empty() ? "the field is empty" : in_quotes(field) + " is no number";
    throw Error(fmt::format("{}: line {}, column {}: {}", file_.name(), number, column, what));
  }

  const FileBytes& file_;
  char delimiter_;
  Index cols_, rows_ = 0, rounded_ = 0;
  Matrix<double> values_;
};

}  // namespace

DenseArray read_csv(const FileBytes& file) {
  Lines lines(file.text());
  std::string_view line;
  const auto none = [&] { return Error(fmt::format("{}: the file holds no numbers", file.name())); };
  if (!lines.next(line)) throw none();
  DenseArray result{{}, "text", {}};
  FirstLine first = count_fields(line);
  if (first.can_be_header()) {
    if (first.like_number > 0 && first.names == 0)
      throw Error(
          fmt::format("{}: line {}, column {}: {} is no number, and too much like one for the line to be a header",
                      file.name(), lines.number(), first.like_number, in_quotes(first.that)));
    result.notes.push_back(fmt::format("line {} was taken as a header", lines.number()));
    const std::string names(trimmed(line));
    const std::string_view whole = lines.whole();
    if (!lines.next(line))
      throw Error(fmt::format("{}: the file holds no numbers, only the line {}", file.name(), in_quotes(names)));
    // A '#' may belong to a name, as in "item #,price": the rows tell.
    const FirstLine with_all = count_fields(whole);
    const auto fits = [&](const FirstLine& header) {
      const FirstLine row = count_fields(line, header.delimiter);
      return header.can_be_header() && row.fields == header.fields && row.numbers > 0;
    };
    if (!fits(first) && fits(with_all)) first = with_all;
  }
  Table table(file, first.delimiter, first.fields);
  do table.add(line, lines.number());
  while (lines.next(line));
  result.values = table.finish();
  if (table.rounded() > 0) result.notes.push_back(fmt::format("{} integers beyond 2^53 were rounded", table.rounded()));
  return result;
}

template <Real T>
void save_csv(const std::string& path, MatrixView<const T> values) {
  if (values.empty())
    throw std::invalid_argument(fmt::format("{}: a matrix of {}x{} cannot be written as text: its shape would be lost",
                                            path, values.rows(), values.cols()));
  if (&values.device() != &host_device())
    throw std::invalid_argument("only a matrix on the host can be written to a file");
  const char delimiter = path.ends_with(".tsv") || path.ends_with(".tsv.gz") ? '\t' : ',';
  TextFile file(path);
  std::string text;
  for (Index i = 0; i < values.rows(); ++i) {
    for (Index j = 0; j < values.cols(); ++j) {
      append_number(text, values(i, j));
      text += j + 1 < values.cols() ? delimiter : '\n';
    }
    if (text.size() < (1u << 16)) continue;
    file.write(text);
    text.clear();
  }
  file.write(text);
  file.commit();
}

template void save_csv<float>(const std::string&, MatrixView<const float>);
template void save_csv<double>(const std::string&, MatrixView<const double>);

}  // namespace lowrank
