#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <lowrank/core/error.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/matrix_market_text.hpp>
#include <lowrank/io/number_text.hpp>
#include <lowrank/io/triplets.hpp>

namespace lowrank {
namespace {

constexpr Index word = sizeof(double);

void require_memory(const MarketText& text, Index entries, Index bytes_each, Index memory) {
  Index bytes = 0;
  if (__builtin_mul_overflow(entries, bytes_each, &bytes) || bytes > memory)
    text.fail(fmt::format("{} numbers of {} bytes are wanted, and {} bytes of memory are available", entries,
                          bytes_each, memory));
}

SparseMatrix<double> read_coordinate(MarketText& text, const MarketHeader& header, Index memory, Index& duplicates) {
  const Index rows = header.rows, cols = header.cols, count = header.entries;
  const Index shortest = header.field == MarketField::pattern ? 4 : 6;  // "1 1\n", "1 1 1\n"
  if (count > (text.left() + 1) / shortest)
    text.fail(
        fmt::format("{} entries are declared, but only {} bytes follow: the file is truncated", count, text.left()));
  const bool mirrored = header.symmetry != MarketSymmetry::general;
  require_memory(text, rows, 2 * word, memory);
  require_memory(text, count, (mirrored ? 2 : 1) * 5 * word, memory);
  Triplets<double> entries(mirrored ? 2 * count : count);
  for (Index k = 0; k < count; ++k) {
    if (!text.next_line()) text.fail(fmt::format("{} entries are declared, but there are {}", count, k));
    const Index i = text.index("row", rows), j = text.index("column", cols);
    const double value = header.field == MarketField::pattern ? 1.0 : text.value(header.field);
    text.end_line();
    if (mirrored) text.check_triangle(header.symmetry, i, j);
    entries.add(i, j, value);
    if (mirrored && i != j) entries.add(j, i, header.symmetry == MarketSymmetry::skew_symmetric ? -value : value);
  }
  text.end_file(count);
  return compress(rows, cols, entries, duplicates);
}

Matrix<double> read_array(MarketText& text, const MarketHeader& header, Index memory) {
  const Index rows = header.rows, cols = header.cols;
  Index count = 0;
  if (__builtin_mul_overflow(rows, cols, &count))
    text.fail(fmt::format("the size {} x {} does not fit in 63 bits", rows, cols));
  if (header.symmetry == MarketSymmetry::symmetric) count = count / 2 + rows / 2 + (count % 2 + rows % 2) / 2;
  if (header.symmetry == MarketSymmetry::skew_symmetric) count = (count - rows) / 2;
  if (count > (text.left() + 1) / 2)
    text.fail(fmt::format("{} values are due, but only {} bytes follow: the file is truncated", count, text.left()));
  require_memory(text, rows * cols, word, memory);
  Matrix<double> A(rows, cols);
  Index have = 0;
  const auto next = [&] {
    if (!text.next_line()) text.fail(fmt::format("{} values are due, but there are {}", count, have));
    ++have;
    return text.value(header.field);
  };
  for (Index j = 0; j < cols && rows > 0; ++j) {
    const bool skew = header.symmetry == MarketSymmetry::skew_symmetric;
    if (skew) A(j, j) = 0;
    for (Index i = header.symmetry == MarketSymmetry::general ? 0 : skew ? j + 1 : j; i < rows; ++i) {
      A(i, j) = next();
      if (header.symmetry != MarketSymmetry::general) A(j, i) = skew ? -A(i, j) : A(i, j);
    }
  }
  text.end_file(count);
  return A;
}

}  // namespace

MatrixMarketMatrix read_matrix_market(const FileBytes& file, Index memory) {
  MarketText text(file);
  const MarketHeader header = text.header();
  MatrixMarketMatrix result{
      SparseMatrix<double>(), std::string(market_names[static_cast<std::size_t>(header.field)]), {}};
  if (header.coordinate) {
    Index duplicates = 0;
    result.values = read_coordinate(text, header, memory, duplicates);
    if (duplicates > 0)
      result.notes.push_back(fmt::format("{} entries were given more than once and added", duplicates));
  } else {
    result.values = read_array(text, header, memory);
  }
  if (header.field != MarketField::real)
    result.notes.push_back(fmt::format("{} values were converted to f64", result.dtype));
  if (text.rounded() > 0) result.notes.push_back(fmt::format("{} integers beyond 2^53 were rounded", text.rounded()));
  return result;
}

}  // namespace lowrank
