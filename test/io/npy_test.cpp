#include <lowrank/io/load.hpp>
#include <lowrank/io/npy.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

DenseArray read_array(const std::string& name) { return read_npy(FileBytes::open(data(name))); }
std::string npy_refusal(const std::string& name) {
  return message([&] { read_array(name); });
}

/// A version 1.0 file with this header and `bytes` of data.
std::string npy_file(std::string header, std::size_t bytes) {
  std::string file = std::string("\x93NUMPY\x01\x00", 8);
  file += {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return file + header + std::string(bytes, '\0');
}
std::string refusal_of(const std::string& header, std::size_t bytes = 8) {
  return message(
      [&] { read_npy(bytes == 0 ? io_test::bytes(npy_file(header, 0)) : io_test::bytes(npy_file(header, bytes))); });
}

}  // namespace

TEST_CASE("npy: floating types and orders as NumPy writes them") {
  for (const std::string order : {"c", "fortran"}) {
    const Order wanted = order == "c" ? Order::row_major : Order::col_major;
    const DenseArray f64 = read_array("io_f8_" + order + ".npy"), f32 = read_array("io_f4_" + order + ".npy"),
                     f16 = read_array("io_f2_" + order + ".npy");
    REQUIRE(std::holds_alternative<Matrix<double>>(f64.values));
    REQUIRE(std::holds_alternative<Matrix<float>>(f32.values));
    REQUIRE(std::holds_alternative<Matrix<float>>(f16.values));
    CHECK(is_the_matrix(std::get<Matrix<double>>(f64.values)));
    CHECK(is_the_matrix(std::get<Matrix<float>>(f32.values)));
    CHECK(is_the_matrix(std::get<Matrix<float>>(f16.values)));
    CHECK(std::get<Matrix<double>>(f64.values).order() == wanted);
    CHECK(f64.notes.empty());
    CHECK(f64.dtype == "<f8");
    REQUIRE(f16.notes.size() == 1);
    CHECK(f16.notes[0] == "<f2 was converted to f32");
  }
  for (const char* name : {"io_v2.npy", "io_v3.npy"})
    CHECK(is_the_matrix(std::get<Matrix<double>>(read_array(name).values)));
}

TEST_CASE("npy: integers and bool become double, with a note") {
  for (const std::string type : {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}) {
    const DenseArray array = read_array("io_" + type + ".npy");
    const auto& A = std::get<Matrix<double>>(array.values);
    REQUIRE(A.rows() == 4);
    REQUIRE(A.cols() == 3);
    for (Index i = 0; i < 4; ++i)
      for (Index j = 0; j < 3; ++j) CHECK(A(i, j) == static_cast<double>(3 * i + j));
    REQUIRE(array.notes.size() == 1);
    CHECK(has(array.notes[0], "was converted to f64"));
  }
  const DenseArray flags = read_array("io_bool.npy");
  CHECK(std::get<Matrix<double>>(flags.values)(0, 1) == 1);
  CHECK(std::get<Matrix<double>>(flags.values)(0, 2) == 0);
  const DenseArray large = read_array("io_i8_large.npy");
  REQUIRE(large.notes.size() == 2);
  CHECK(large.notes[1] == "2 integers beyond 2^53 were rounded");
}

TEST_CASE("npy: vectors, scalars and empty arrays") {
  const DenseArray vector = read_array("io_vector.npy");
  const auto& v = std::get<Matrix<double>>(vector.values);
  REQUIRE(v.rows() == 4);
  REQUIRE(v.cols() == 1);
  for (Index i = 0; i < 4; ++i) CHECK(v(i, 0) == entry(i, 1));
  const DenseArray scalar = read_array("io_scalar.npy");
  CHECK(std::get<Matrix<double>>(scalar.values).size() == 1);
  CHECK(std::get<Matrix<double>>(scalar.values)(0, 0) == 2.5);
  const DenseArray empty = read_array("io_empty.npy");
  CHECK(std::get<Matrix<double>>(empty.values).rows() == 0);
  CHECK(std::get<Matrix<double>>(empty.values).cols() == 5);
}

TEST_CASE("npy: what cannot be read is refused by name") {
  CHECK(has(npy_refusal("io_big_endian.npy"), "io_big_endian.npy: npy header: the dtype '>f4' is big-endian"));
  CHECK(has(npy_refusal("io_complex.npy"), "'<c16' is complex"));
  CHECK(has(npy_refusal("io_object.npy"), "'|O' is of Python objects"));
  CHECK(has(npy_refusal("io_structured.npy"), "structured"));
  CHECK(has(npy_refusal("io_string.npy"), "'<U2' is of strings"));
  CHECK(has(npy_refusal("io_time.npy"), "is of times"));
  CHECK(has(npy_refusal("io_cube.npy"), "the array has the shape (2, 3, 4); a matrix has at most two dimensions"));
  CHECK(has(npy_refusal("io_long_double.npy"), "'<f16' is none of"));
}

TEST_CASE("npy: malformed and lying headers") {
  const std::string good = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
  CHECK(refusal_of(good) == "");
  CHECK(refusal_of("{\"shape\":(1L,1),'fortran_order':True,'descr':'<f8'}\n") == "");
  CHECK(has(refusal_of(good, 9), "the file is too long: the shape (1,) of <f8 needs 8 bytes of data, but 9 follow"));
  CHECK(has(refusal_of(good, 7), "the file is truncated: the shape (1,)"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"),
            "does not fit in 63 bits"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1), }"), "truncated"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }"),
            "a dimension does not fit"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"), "a dimension is due"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1), }"), "',' is due"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,), }"), "byte 44: True or False is due"));
  CHECK(has(refusal_of("{'descr': '<f8', 'shape': (1,), }"), "is missing"));
  CHECK(has(refusal_of("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"),
            "'descr' is unknown or given twice"));
  CHECK(has(refusal_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}"), "'x' is unknown"));
  CHECK(has(refusal_of(good + "x"), "text follows"));
  CHECK(has(refusal_of("__import__('os')"), "byte 10: '{' is due"));
  std::string other = npy_file(good, 8);
  other[6] = 4;
  CHECK(has(message([&] { read_npy(bytes(other)); }), "version 4.0 is unknown"));
  std::string lying = npy_file(good, 8);
  lying[9] = '\x7f';
  CHECK(has(message([&] { read_npy(bytes(lying)); }), "truncated"));
}

TEST_CASE_TEMPLATE("npy: what is written is read back, in either order and from strided views", T, float, double) {
  const TemporaryFolder folder;
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Matrix<T> A = the_matrix<T>(order, 57, 33);
    save_npy<T>(folder / "A.npy", A);
    const DenseArray back = read_npy(FileBytes::open(folder / "A.npy"));
    const auto& B = std::get<Matrix<T>>(back.values);
    REQUIRE(B.rows() == 57);
    REQUIRE(B.cols() == 33);
    CHECK(B.order() == order);
    bool equal = true;
    for (Index i = 0; i < 57; ++i)
      for (Index j = 0; j < 33; ++j) equal = equal && A(i, j) == B(i, j);
    CHECK(equal);
    save_npy<T>(folder / "block.npy", A.view().block(1, 2, 4, 3));
    const DenseArray part = read_npy(FileBytes::open(folder / "block.npy"));
    CHECK(std::get<Matrix<T>>(part.values)(3, 2) == A(4, 4));
    CHECK(std::get<Matrix<T>>(part.values)(0, 0) == A(1, 2));
  }
  save_npy<T>(folder / "empty.npy", Matrix<T>(0, 7));
  CHECK(std::get<Matrix<T>>(read_npy(FileBytes::open(folder / "empty.npy")).values).cols() == 7);
}

TEST_CASE("npy: a mapped matrix may be written to, and the file stays as it was") {
  const TemporaryFolder folder;
  save_npy<double>(folder / "A.npy", the_matrix<double>(Order::row_major));
  const std::string before = contents(folder / "A.npy");
  DenseArray array = read_npy(FileBytes::open(folder / "A.npy"));
  std::get<Matrix<double>>(array.values)(1, 1) = 77;
  CHECK(std::get<Matrix<double>>(array.values)(1, 1) == 77);
  CHECK(contents(folder / "A.npy") == before);
}

TEST_CASE("npy: a matrix written in blocks of rows") {
  const TemporaryFolder folder;
  const Matrix<float> A = the_matrix<float>(Order::col_major, 1000, 70);
  {
    NpyWriter<float> writer(folder / "A.npy", 1000, 70);
    for (Index i = 0; i < 1000; i += 300) writer.append(A.view().middle_rows(i, std::min<Index>(300, 1000 - i)));
    CHECK(message<std::invalid_argument>([&] { writer.append(A.view().middle_rows(0, 1)); }) ==
          "NpyWriter: a block of 1x70 does not fit in the 0 rows left of 1000x70");
    CHECK_FALSE(std::filesystem::exists(folder / "A.npy"));
    writer.commit();
  }
  const DenseArray back = read_npy(FileBytes::open(folder / "A.npy"));
  const auto& B = std::get<Matrix<float>>(back.values);
  CHECK(B.order() == Order::row_major);
  bool equal = B.rows() == 1000 && B.cols() == 70;
  for (Index i = 0; equal && i < 1000; ++i)
    for (Index j = 0; j < 70; ++j) equal = equal && A(i, j) == B(i, j);
  CHECK(equal);
  NpyWriter<float> short_one(folder / "B.npy", 10, 2);
  CHECK(has(message<std::invalid_argument>([&] { short_one.commit(); }), "0 of 10 rows"));
}

TEST_CASE("npy: beyond the limit a matrix is described, not read") {
  const LoadedMatrix whole = load_matrix(data("io_f8_fortran.npy"));
  CHECK(std::holds_alternative<Matrix<double>>(whole.content));
  const LoadedMatrix place = load_matrix(data("io_f8_fortran.npy"), {.in_memory_limit = 95});
  REQUIRE(std::holds_alternative<FileLayout<double>>(place.content));
  const auto& layout = std::get<FileLayout<double>>(place.content);
  CHECK(layout.order == Order::col_major);
  CHECK(layout.rows == 4);
  CHECK(layout.cols == 3);
  CHECK(place.rows() == 4);
  CHECK(place.cols() == 3);
  CHECK(layout.path == data("io_f8_fortran.npy"));
  const std::string file = contents(layout.path);
  CHECK(read_number<double>(reinterpret_cast<const std::byte*>(file.data()) + layout.offset + 8) == entry(1, 0));
  CHECK(std::holds_alternative<FileLayout<float>>(load_matrix(data("io_f4_c.npy"), {.in_memory_limit = 47}).content));
  CHECK(std::holds_alternative<Matrix<double>>(load_matrix(data("io_i4.npy"), {.in_memory_limit = 1}).content));
}
