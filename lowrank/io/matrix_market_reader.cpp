#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <lowrank/core/error.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/matrix_market_text.hpp>
#include <lowrank/io/number_text.hpp>

namespace lowrank {
namespace {

constexpr Index word = sizeof(double);

void require_memory(const MarketText& text, Index entries, Index bytes_each, Index memory) {
  Index bytes = 0;
  if (__builtin_mul_overflow(entries, bytes_each, &bytes) || bytes > memory)
    text.fail(fmt::format("{} numbers of {} bytes are wanted, and {} bytes of memory are available", entries,
                          bytes_each, memory));
}

/// The entries as they come, before they are sorted into rows.
struct Triplets {
  std::vector<Index> row, col;
  std::vector<double> value;

  explicit Triplets(Index count) {
    row.reserve(static_cast<std::size_t>(count));
    col.reserve(static_cast<std::size_t>(count));
    value.reserve(static_cast<std::size_t>(count));
  }
  void add(Index i, Index j, double v) {
    row.push_back(i);
    col.push_back(j);
    value.push_back(v);
  }
};

/// Puts the entries of a row in the order of their columns.
void sort_row(Index* cols, double* values, Index count, std::vector<std::pair<Index, double>>& buffer) {
  if (std::is_sorted(cols, cols + count)) return;
  buffer.clear();
  for (Index k = 0; k < count; ++k) buffer.emplace_back(cols[k], values[k]);
  std::stable_sort(buffer.begin(), buffer.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (Index k = 0; k < count; ++k) std::tie(cols[k], values[k]) = buffer[static_cast<std::size_t>(k)];
}

/// Adds up equal columns of a sorted row; returns how many are left.
Index add_duplicates(const Index* cols, const double* values, Index count, Index* to_cols, double* to_values) {
  Index kept = 0;
  for (Index k = 0; k < count; ++k) {
    if (kept > 0 && to_cols[kept - 1] == cols[k]) {
      to_values[kept - 1] += values[k];
    } else {
      to_cols[kept] = cols[k];
      to_values[kept++] = values[k];
    }
  }
  return kept;
}

/// Sorts by counting: rows first, then, where needed, the columns within a row.
SparseMatrix<double> compress(Index rows, Index cols, const Triplets& entries, Index& duplicates) {
  const auto count = static_cast<Index>(entries.row.size());
  SparseMatrix<double> result(rows, cols);
  result.resizeNonZeros(count);
  Index* start = result.outerIndexPtr();
  std::fill(start, start + rows + 1, Index{0});
  for (const Index i : entries.row) ++start[i + 1];
  for (Index i = 0; i < rows; ++i) start[i + 1] += start[i];
  std::vector<Index> next(start, start + rows);
  for (std::size_t k = 0; k < entries.row.size(); ++k) {
    const Index at = next[static_cast<std::size_t>(entries.row[k])]++;
    result.innerIndexPtr()[at] = entries.col[k];
    result.valuePtr()[at] = entries.value[k];
  }
  std::vector<std::pair<Index, double>> buffer;
  Index written = 0;
  for (Index i = 0; i < rows; ++i) {
    const Index first = start[i], length = next[static_cast<std::size_t>(i)] - first;
    sort_row(result.innerIndexPtr() + first, result.valuePtr() + first, length, buffer);
    start[i] = written;
    written += add_duplicates(result.innerIndexPtr() + first, result.valuePtr() + first, length,
                              result.innerIndexPtr() + written, result.valuePtr() + written);
  }
  start[rows] = written;
  duplicates = count - written;
  result.resizeNonZeros(written);
  return result;
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
  Triplets entries(mirrored ? 2 * count : count);
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

bool is_matrix_market(const FileBytes& file) {
  return file.starts_with("%%MatrixMarket") || file.starts_with("%MatrixMarket");
}

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
  return result;
}

}  // namespace lowrank
