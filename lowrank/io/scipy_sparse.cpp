#include <fmt/format.h>

#include <algorithm>
#include <lowrank/core/error.hpp>
#include <lowrank/io/scipy_sparse.hpp>
#include <lowrank/io/triplets.hpp>

namespace lowrank {
namespace {

/// A member of one dimension that holds integers from 0 on.
class Integers {
 public:
  Integers(const NpzFile& archive, const std::string& name)
      : file_(archive.bytes(name)), header_(parse_npy_header(file_)) {
    if (header_.type != FileType::i32 && header_.type != FileType::i64)
      throw Error(fmt::format("{}: the dtype is {}, but <i4 or <i8 is due", file_.name(), header_.descr));
    if (header_.shape.size() != 1)
      throw Error(
          fmt::format("{}: the shape is {}, but one dimension is due", file_.name(), shape_text(header_.shape)));
  }

  Index count() const { return header_.rows; }

  /// Copies all of them. They must lie from 0 to below `limit`.
  void copy_to(Index* to, Index limit) const {
    header_.type == FileType::i32 ? copy<std::int32_t>(to, limit) : copy<std::int64_t>(to, limit);
  }
  std::vector<Index> values(Index limit) const {
    std::vector<Index> all(static_cast<std::size_t>(count()));
    copy_to(all.data(), limit);
    return all;
  }

  void require_count(Index due, std::string_view of) const {
    if (count() != due) throw Error(fmt::format("{}: {} numbers, but {} {}", file_.name(), count(), due, of));
  }
  [[noreturn]] void fail(const std::string& what) const { throw Error(fmt::format("{}: {}", file_.name(), what)); }

 private:
  template <class Number>
  void copy(Index* to, Index limit) const {
    const std::byte* from = file_.data() + header_.data_offset;
    for (Index k = 0; k < count(); ++k) {
      const Index value = read_number<Number>(from + k * static_cast<Index>(sizeof(Number)));
      if (value < 0 || value >= limit) fail(fmt::format("number {} is {}, not from 0 to {}", k, value, limit - 1));
      to[k] = value;
    }
  }

  FileBytes file_;
  NpyHeader header_;
};

struct Shape {
  Index rows, cols;
};

Shape shape_of(const NpzFile& archive, Index memory) {
  const Integers member(archive, "shape");
  if (member.count() != 2) member.fail(fmt::format("{} numbers, but a matrix has two sides", member.count()));
  const std::vector<Index> sides = member.values(std::numeric_limits<Index>::max());
  // Where rows or columns begin is held for each of them, whatever the file's length.
  for (const Index side : sides)
    if (side > memory / (2 * static_cast<Index>(sizeof(Index))))
      member.fail(fmt::format("a side of {} wants more than the {} bytes of memory that are available", side, memory));
  return {sides[0], sides[1]};
}

/// The starts of `lines` rows or columns. Their number is checked before any memory is taken for it.
Integers starts_of(const NpzFile& archive, Index lines) {
  Integers member(archive, "indptr");
  member.require_count(lines + 1, "are due, one more than lines");
  return member;
}

/// Copies them; they must lie among `count` entries.
void copy_starts(const Integers& member, Index lines, Index count, Index* to) {
  member.copy_to(to, count + 1);
  if (to[0] != 0) member.fail(fmt::format("the first number is {}, not 0", to[0]));
  for (Index i = 0; i < lines; ++i)
    if (to[i] > to[i + 1])
      member.fail(fmt::format("number {} is {}, less than the one before, {}", i + 1, to[i + 1], to[i]));
}

template <Real T>
SparseMatrix<T> read_rows(const NpzFile& archive, const Shape& shape, MatrixView<const T> data, Index& duplicates) {
  const Integers indices(archive, "indices"), starts = starts_of(archive, shape.rows);
  indices.require_count(data.rows(), "entries of data");
  SparseMatrix<T> A(shape.rows, shape.cols);
  A.resizeNonZeros(data.rows());
  copy_starts(starts, shape.rows, data.rows(), A.outerIndexPtr());
  indices.copy_to(A.innerIndexPtr(), shape.cols);
  std::copy_n(data.data(), data.rows(), A.valuePtr());
  duplicates = tidy_rows(A);
  return A;
}

template <Real T>
SparseMatrix<T> read_columns(const NpzFile& archive, const Shape& shape, MatrixView<const T> data, Index& duplicates) {
  const Integers indices(archive, "indices"), starts = starts_of(archive, shape.cols);
  indices.require_count(data.rows(), "entries of data");
  std::vector<Index> start(static_cast<std::size_t>(shape.cols) + 1);
  copy_starts(starts, shape.cols, data.rows(), start.data());
  const std::vector<Index> row = indices.values(shape.rows);
  Triplets<T> entries(start.back());
  for (Index j = 0; j < shape.cols; ++j)
    for (Index e = start[static_cast<std::size_t>(j)]; e < start[static_cast<std::size_t>(j + 1)]; ++e)
      entries.add(row[static_cast<std::size_t>(e)], j, data(e, 0));
  return compress(shape.rows, shape.cols, entries, duplicates);
}

template <Real T>
SparseMatrix<T> read_entries(const NpzFile& archive, const Shape& shape, MatrixView<const T> data, Index& duplicates) {
  const Integers rows(archive, "row"), cols(archive, "col");
  rows.require_count(data.rows(), "entries of data");
  cols.require_count(data.rows(), "entries of data");
  Triplets<T> entries(0);
  entries.row = rows.values(shape.rows);
  entries.col = cols.values(shape.cols);
  entries.value.assign(data.data(), data.data() + data.rows());
  return compress(shape.rows, shape.cols, entries, duplicates);
}

}  // namespace

bool is_scipy_sparse(const NpzFile& archive) {
  const auto holds = [&](std::string_view name) {
    return std::any_of(archive.members().begin(), archive.members().end(),
                       [&](const auto& m) { return m.name == name; });
  };
  return holds("format") && holds("shape") && holds("data");
}

SparseArray read_scipy_sparse(const NpzFile& archive, Index memory) {
  SparseArray result;
  const FileBytes format = archive.bytes("format");
  result.layout = read_npy_text(format);
  if (result.layout != "csr" && result.layout != "csc" && result.layout != "coo")
    throw Error(
        fmt::format("{}: sparse matrices of the layout {} cannot be read; write A.tocsr() with scipy.sparse.save_npz",
                    format.name(), in_quotes(result.layout)));
  const Shape shape = shape_of(archive, memory);
  DenseArray data = archive.load("data");
  result.dtype = std::move(data.dtype);
  result.notes = std::move(data.notes);
  Index duplicates = 0;
  std::visit(
      [&](const auto& values) {
        using T = typename std::decay_t<decltype(values)>::Scalar;
        if (values.cols() != 1)
          throw Error(fmt::format("{}: data has {} columns, but one dimension is due", format.name(), values.cols()));
        const auto read = result.layout == "csr"   ? read_rows<T>
                          : result.layout == "csc" ? read_columns<T>
                                                   : read_entries<T>;
        result.values = read(archive, shape, values.view(), duplicates);
      },
      data.values);
  if (duplicates > 0) result.notes.push_back(fmt::format("{} entries were given more than once and added", duplicates));
  return result;
}

}  // namespace lowrank
