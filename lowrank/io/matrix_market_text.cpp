#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <lowrank/core/error.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/matrix_market_text.hpp>
#include <lowrank/io/number_text.hpp>

namespace lowrank {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

}  // namespace

MarketText::MarketText(const FileBytes& file)
    : name_(file.name()), at_(file.text().data()), end_(at_ + file.size()), line_start_(at_) {}

void MarketText::fail(const std::string& what) const {
  throw Error(fmt::format("{}: line {}: {}", name_, line_, what));
}

void MarketText::fail_at(const char* place, const std::string& what) const {
  throw Error(fmt::format("{}: line {}, column {}: {}", name_, line_, place - line_start_ + 1, what));
}

void MarketText::skip_blanks() {
  while (at_ < end_ && is_blank(*at_)) ++at_;
}

std::string_view MarketText::token() {
  skip_blanks();
  const char* start = at_;
  while (at_ < end_ && *at_ != '\n' && !is_blank(*at_)) ++at_;
  return {start, static_cast<std::size_t>(at_ - start)};
}

bool MarketText::next_line() {
  for (skip_blanks(); at_ < end_ && *at_ == '\n'; skip_blanks()) {
    line_start_ = ++at_;
    ++line_;
  }
  return at_ < end_;
}

void MarketText::end_line() {
  skip_blanks();
  if (at_ < end_ && *at_ != '\n') {
    const char* place = at_;
    const std::string_view more = token();
    fail_at(place, fmt::format("{} is one thing too many on this line", in_quotes(more)));
  }
}

void MarketText::end_file(Index count) {
  if (next_line()) fail(fmt::format("more than the {} entries that are declared", count));
}

Index MarketText::index(const char* what, Index count) {
  skip_blanks();
  const char* start = at_;
  Index value = 0;
  const auto [end, error] = std::from_chars(at_, end_, value);
  const bool whole = error == std::errc() && (end == end_ || *end == '\n' || is_blank(*end));
  if (!whole) {
    const std::string_view text = token();
    fail_at(start, text.empty() ? fmt::format("the {} is missing", what)
                                : fmt::format("{} is no {} index", in_quotes(text), what));
  }
  at_ = end;
  if (value < 1 || value > count)
    fail_at(start, fmt::format("the {} index {} is out of range: 1 to {}", what, value, count));
  return value - 1;
}

double MarketText::value(MarketField field) {
  const std::string_view text = token();
  const char* start = text.data();
  if (text.empty()) fail_at(start, "the value is missing");
  double value = 0;
  if (!parse_double(text, value)) fail_at(start, in_quotes(text) + " is no number");
  if (field == MarketField::integer && text.find_first_not_of("+-0123456789") != std::string_view::npos)
    fail_at(start, in_quotes(text) + " is no integer");
  rounded_ += is_rounded_integer(text, value);
  return value;
}

void MarketText::check_triangle(MarketSymmetry symmetry, Index i, Index j) const {
  if (j > i)
    fail(fmt::format("the entry ({}, {}) lies above the diagonal, but a symmetric file holds the lower triangle only",
                     i + 1, j + 1));
  if (i == j && symmetry == MarketSymmetry::skew_symmetric)
    fail(fmt::format("the entry ({}, {}) lies on the diagonal of a skew-symmetric matrix", i + 1, j + 1));
}

bool is_matrix_market(const FileBytes& file) {
  const std::string start = lower(file.text().substr(0, 14));
  return start == "%%matrixmarket" || start.starts_with("%matrixmarket");
}

MarketHeader MarketText::banner() {
  const std::string magic = lower(token()), object = lower(token()), format = lower(token()), field = lower(token());
  std::string symmetry = lower(token());
  MarketHeader header;
  if (magic != "%%matrixmarket") fail("the file does not begin with %%MatrixMarket");
  if (object != "matrix") fail(fmt::format("the object is {}; only a matrix can be read", in_quotes(object)));
  if (format != "coordinate" && format != "array")
    fail(fmt::format("the format is {}, neither coordinate nor array", in_quotes(format)));
  header.coordinate = format == "coordinate";
  if (field == "complex") fail("the values are complex; only real matrices can be read");
  const std::string wanted = field == "double" ? "real" : field;
  const auto found = std::find(market_names.begin(), market_names.end(), wanted);
  if (found == market_names.end())
    fail(fmt::format("the values are {}, none of real, integer and pattern", in_quotes(field)));
  header.field = static_cast<MarketField>(found - market_names.begin());
  if (header.field == MarketField::pattern && !header.coordinate)
    fail("an array has values, so it cannot be a pattern");
  if (symmetry == "hermitian") symmetry = "symmetric";  // The same for real values.
  if (symmetry != "general" && symmetry != "symmetric" && symmetry != "skew-symmetric")
    fail(fmt::format("the symmetry is {}, none of general, symmetric and skew-symmetric", in_quotes(symmetry)));
  header.symmetry = symmetry == "general"     ? MarketSymmetry::general
                    : symmetry == "symmetric" ? MarketSymmetry::symmetric
                                              : MarketSymmetry::skew_symmetric;
  end_line();
  return header;
}

Index MarketText::size(const char* what) {
  const std::string_view text = token();
  Index value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    fail_at(text.data(), fmt::format("{} {} do not fit in 63 bits", text, what));
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
    fail_at(text.data(), fmt::format("{} is no number of {}", in_quotes(text), what));
  return value;
}

MarketHeader MarketText::header() {
  MarketHeader header = banner();
  for (;;) {
    if (!next_line()) fail("the line of sizes is missing: the file is truncated");
    if (*at_ != '%') break;
    at_ = std::find(at_, end_, '\n');
  }
  header.rows = size("rows");
  header.cols = size("columns");
  if (header.coordinate) header.entries = size("entries");
  end_line();
  if (header.symmetry != MarketSymmetry::general && header.rows != header.cols)
    fail(fmt::format("a symmetric matrix is square, but the sizes are {} x {}", header.rows, header.cols));
  return header;
}

}  // namespace lowrank
