#include <zlib.h>

#include <lowrank/io/load.hpp>
#include <lowrank/io/scipy_sparse.hpp>
#include <map>

#include "io/files.hpp"

using namespace lowrank;
using namespace io_test;

namespace {

template <class Number>
std::string raw(std::initializer_list<Number> numbers) {
  std::string text;
  for (const Number number : numbers) text.append(reinterpret_cast<const char*>(&number), sizeof number);
  return text;
}

std::string npy_of(const std::string& descr, const std::string& shape, const std::string& data) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

template <class Number>
std::string vector_of(const std::string& descr, std::initializer_list<Number> numbers) {
  return npy_of(descr, "(" + std::to_string(numbers.size()) + ",)", raw(numbers));
}

/// A zip archive of stored members.
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members) {
  const auto u16 = [](std::size_t n) { return raw<std::uint16_t>({static_cast<std::uint16_t>(n)}); };
  const auto u32 = [](std::size_t n) { return raw<std::uint32_t>({static_cast<std::uint32_t>(n)}); };
  std::string file, directory;
  for (const auto& [name, data] : members) {
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
    const std::string fields =
        u16(0) + u16(0) + u32(0) + u32(crc) + u32(data.size()) + u32(data.size()) + u16(name.size() + 4) + u16(0);
    directory += "PK\x01\x02" + u16(20) + u16(20) + fields + u16(0) + u16(0) + u16(0) + u32(0) + u32(file.size()) +
                 name + ".npy";
    file += "PK\x03\x04" + u16(20) + fields + name + ".npy" + data;
  }
  return file + directory + "PK\x05\x06" + u32(0) + u16(members.size()) + u16(members.size()) + u32(directory.size()) +
         u32(file.size()) + u16(0);
}

using Members = std::map<std::string, std::string>;

/// [[0, 1.5], [2.5, 0], [0, -1]], by rows.
Members by_rows() {
  return {{"format", npy_of("|S3", "()", "csr")},
          {"shape", vector_of<std::int64_t>("<i8", {3, 2})},
          {"data", vector_of<double>("<f8", {1.5, 2.5, -1})},
          {"indices", vector_of<std::int32_t>("<i4", {1, 0, 1})},
          {"indptr", vector_of<std::int32_t>("<i4", {0, 1, 2, 3})}};
}

SparseArray read_members(const Members& members, Index memory = available_memory()) {
  return read_scipy_sparse(NpzFile(bytes(zip_of({members.begin(), members.end()}))), memory);
}

/// What is said of the archive with one member in place of its own, or without it.
std::string members_refusal(Members members, const std::string& name, const std::string& instead) {
  if (instead.empty())
    members.erase(name);
  else
    members[name] = instead;
  return message([&] { read_members(members); });
}

template <Real T>
bool is_the_sparse_matrix(const LoadedMatrix& loaded) {
  const auto& A = std::get<SparseMatrix<T>>(loaded.content);
  const LoadedMatrix text = load_matrix(data("io_sparse.mtx"));
  const auto& B = std::get<SparseMatrix<double>>(text.content);
  return A.rows() == 4 && A.cols() == 5 && A.nonZeros() == 4 &&
         Eigen::MatrixXd(A.template cast<double>()) == Eigen::MatrixXd(B);
}

}  // namespace

TEST_CASE("scipy sparse: by rows, by columns and by entries, as SciPy writes them") {
  const LoadedMatrix by_rows = load_matrix(data("io_scipy_csr.npz"));
  CHECK(is_the_sparse_matrix<double>(by_rows));
  CHECK(by_rows.format == "scipy csr");
  CHECK(by_rows.dtype == "<f8");
  CHECK(by_rows.notes.empty());
  const LoadedMatrix by_columns = load_matrix(data("io_scipy_csc.npz"));
  CHECK(is_the_sparse_matrix<float>(by_columns));
  CHECK(by_columns.format == "scipy csc");
  const LoadedMatrix unsorted = load_matrix(data("io_scipy_unsorted.npz"));
  CHECK(std::get<SparseMatrix<double>>(unsorted.content).nonZeros() == 4);
  const LoadedMatrix entries = load_matrix(data("io_scipy_coo.npz"));
  const auto& A = std::get<SparseMatrix<double>>(entries.content);
  CHECK(A.nonZeros() == 4);
  CHECK(A.coeff(0, 2) == 1);
  CHECK(A.coeff(1, 1) == 4);
  CHECK(A.coeff(3, 0) == -2);
  CHECK(A.coeff(3, 4) == 4);
  REQUIRE(entries.notes.size() == 2);
  CHECK(has(entries.notes[0], "<i8 was converted to f64"));
  CHECK(has(entries.notes[1], "1 entries were given more than once and added"));
}

TEST_CASE("scipy sparse: the columns of a row are put in order, a member can still be had by its name") {
  const auto A = std::get<SparseMatrix<double>>(load_matrix(data("io_scipy_unsorted.npz")).content);
  CHECK(std::is_sorted(A.innerIndexPtr(), A.innerIndexPtr() + 4));
  CHECK(A.coeff(3, 4) == 4);
  CHECK(A.coeff(3, 1) == 3.25);
  CHECK(load_matrix(data("io_scipy_csr.npz:data")).rows() == 4);
}

TEST_CASE("scipy sparse: what does not fit together is refused by its name") {
  CHECK(std::get<SparseMatrix<double>>(read_members(by_rows()).values).coeff(1, 0) == 2.5);
  const auto refused = [](const std::string& name, const std::string& instead) {
    return members_refusal(by_rows(), name, instead);
  };
  CHECK(has(message([] { load_matrix(data("io_scipy_dia.npz")); }),
            "io_scipy_dia.npz:format: sparse matrices of the layout 'dia' cannot be read"));
  CHECK(has(refused("format", npy_of("|S3", "(1,)", "csr")), "test-file:format: npy header: a single string is due"));
  CHECK(has(refused("format", npy_of("<f8", "()", raw<double>({1}))), "a single string is due"));
  CHECK(has(refused("format", npy_of("<U3", "()", raw<char32_t>({U'b', U's', U'r'}))), "'bsr' cannot be read"));
  CHECK(refused("format", npy_of("<U3", "()", raw<char32_t>({U'c', U's', U'r'}))) == "");
  CHECK(has(refused("indptr", ""), "there is no array 'indptr'"));
  CHECK(has(refused("indices", vector_of<std::int32_t>("<i4", {1, 2, 1})), ":indices: number 1 is 2, not from 0 to 1"));
  CHECK(has(refused("indices", vector_of<std::int32_t>("<i4", {1, -1, 1})), ":indices: number 1 is -1"));
  CHECK(has(refused("indices", vector_of<std::int32_t>("<i4", {1, 0})), ":indices: 2 numbers, but 3 entries of data"));
  CHECK(has(refused("indices", vector_of<double>("<f8", {1, 0, 1})), ":indices: the dtype is <f8"));
  CHECK(has(refused("indptr", vector_of<std::int32_t>("<i4", {0, 1, 3})), ":indptr: 3 numbers, but 4 are due"));
  CHECK(has(refused("indptr", vector_of<std::int32_t>("<i4", {0, 2, 1, 3})), ":indptr: number 2 is 1, less than"));
  CHECK(has(refused("indptr", vector_of<std::int32_t>("<i4", {1, 1, 2, 3})), ":indptr: the first number is 1"));
  CHECK(
      has(refused("indptr", vector_of<std::int32_t>("<i4", {0, 1, 2, 4})), ":indptr: number 3 is 4, not from 0 to 3"));
  CHECK(has(refused("shape", vector_of<std::int64_t>("<i8", {3, 2, 1})), ":shape: 3 numbers"));
  CHECK(has(refused("shape", vector_of<std::int64_t>("<i8", {3, -2})), ":shape: number 1 is -2"));
  CHECK(has(refused("shape", vector_of<std::int64_t>("<i8", {Index{1} << 60, 2})), ":shape: a side of"));
  // A side without the starts it needs is refused before there is memory taken for it.
  for (const char* layout : {"csr", "csc"}) {
    Members wide = by_rows();
    wide["format"] = npy_of("|S3", "()", layout);
    wide["shape"] = vector_of<std::int64_t>("<i8", {Index{1} << 40, Index{1} << 40});
    CHECK(has(message([&] { read_members(wide, Index{1} << 50); }), ":indptr: 4 numbers, but 1099511627777 are due"));
  }
  CHECK(has(message([] { read_members(by_rows(), 32); }), "the 32 bytes of memory that are available"));
  CHECK(has(refused("data", npy_of("<f8", "(1, 3)", raw<double>({1, 2, 3}))), "data has 3 columns"));
  CHECK(has(refused("data", vector_of<double>("<f8", {1, 2})), ":indices: 3 numbers, but 2 entries of data"));
}

TEST_CASE("scipy sparse: no rows, no columns, no entries, and entries beyond the last row's") {
  Members members = by_rows();
  members["data"] = vector_of<double>("<f8", {1.5, 2.5, -1, 7});
  members["indices"] = vector_of<std::int64_t>("<i8", {1, 0, 1, 0});
  const auto A = std::get<SparseMatrix<double>>(read_members(members).values);
  CHECK(A.nonZeros() == 3);
  CHECK(A.coeff(2, 1) == -1);
  members = by_rows();
  members["data"] = vector_of<float>("<f4", {});
  members["indices"] = vector_of<std::int32_t>("<i4", {});
  for (const Index rows : {0, 3}) {
    members["shape"] = vector_of<std::int64_t>("<i8", {rows, 0});
    members["indptr"] = rows == 0 ? vector_of<std::int32_t>("<i4", {0}) : vector_of<std::int32_t>("<i4", {0, 0, 0, 0});
    const auto empty = std::get<SparseMatrix<float>>(read_members(members).values);
    CHECK(empty.rows() == rows);
    CHECK(empty.nonZeros() == 0);
  }
}
