#include <limits>
#include <lowrank/io/csv.hpp>
#include <lowrank/io/load.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

Matrix<double> read_text(const std::string& text) {
  return std::move(std::get<Matrix<double>>(read_csv(bytes(text)).values));
}
std::string csv_refusal(const std::string& text) {
  return message([&] { read_text(text); });
}
bool is_123456(const std::string& text) {
  const Matrix<double> A = read_text(text);
  bool equal = A.rows() == 2 && A.cols() == 3;
  for (Index i = 0; equal && i < 2; ++i)
    for (Index j = 0; j < 3; ++j) equal = equal && A(i, j) == static_cast<double>(3 * i + j + 1);
  return equal;
}

}  // namespace

TEST_CASE("csv: separators, blank lines, comments, quotes and line ends") {
  CHECK(is_123456("1,2,3\n4,5,6\n"));
  CHECK(is_123456("1,2,3\n4,5,6"));
  CHECK(is_123456(" 1 , 2 ,\t3\r\n\r\n4,5,6\r\n\r\n"));
  CHECK(is_123456("1\t2\t3\n4\t5\t6\n"));
  CHECK(is_123456("1;2;3\n4;5;6\n"));
  CHECK(is_123456("  1   2 3  \n4 5\t6 \n"));
  CHECK(is_123456("# a comment, with commas\n1,2,3 # more\n\n#\n4,5,6\n# end"));
  CHECK(
      is_123456("\xef\xbb\xbf"
                "1,2,3\n4,5,6\n"));
  CHECK(is_123456("\"1\",2,\"3\"\n4,\"5\",6\n"));
  CHECK(is_123456("+1,2.0,3e0\n4,0.5e1,600e-2\n"));
  const Matrix<double> column = read_text("1\n2\n3\n");
  CHECK(column.rows() == 3);
  CHECK(column.cols() == 1);
}

TEST_CASE("csv: headers") {
  CHECK(is_123456("a,b,c\n1,2,3\n4,5,6\n"));
  CHECK(is_123456("\"a, with a comma\",b,\"c\"\n1,2,3\n4,5,6\n"));
  CHECK(is_123456(",b,c\n1,2,3\n4,5,6\n"));
  const DenseArray array = read_csv(bytes("# what\nx y z\n1 2 3\n"));
  REQUIRE(array.notes.size() == 1);
  CHECK(array.notes[0] == "line 2 was taken as a header");
  CHECK(csv_refusal("a,b\n1,2,3\n") == "test-file: line 2, column 3: the row has 3 fields, but the first one has 2");
  CHECK(has(csv_refusal("a,b\n"), "no numbers, only the line 'a,b'"));
  CHECK(csv_refusal("1,b,3\n4,5,6\n") == "test-file: line 1, column 2: 'b' is no number");
}

TEST_CASE("csv: nan, inf and numbers beyond the range") {
  const Matrix<double> A =
      read_text("nan,inf,-inf\nNaN,Infinity,+inf\n1e999,-1e999,1e-999\n4.9e-324,1e-310,1.7976931348623157e308\n");
  CHECK(std::isnan(A(0, 0)));
  CHECK(std::isnan(A(1, 0)));
  CHECK(A(0, 1) == std::numeric_limits<double>::infinity());
  CHECK(A(0, 2) == -std::numeric_limits<double>::infinity());
  CHECK(A(1, 1) == std::numeric_limits<double>::infinity());
  CHECK(A(1, 2) == std::numeric_limits<double>::infinity());
  CHECK(A(2, 0) == std::numeric_limits<double>::infinity());
  CHECK(A(2, 1) == -std::numeric_limits<double>::infinity());
  CHECK(A(2, 2) == 0);
  CHECK(A(3, 0) == std::numeric_limits<double>::denorm_min());
  CHECK(A(3, 1) == 1e-310);
  CHECK(A(3, 2) == std::numeric_limits<double>::max());
}

TEST_CASE("csv: what is no table of numbers is refused with line and column") {
  CHECK(csv_refusal("1,2,3\n\n4,5\n") == "test-file: line 3, column 3: the row has 2 fields, but the first one has 3");
  CHECK(csv_refusal("1,2\n3,4,5\n") == "test-file: line 2, column 3: the row has 3 fields, but the first one has 2");
  CHECK(csv_refusal("1,2\n3,four\n") == "test-file: line 2, column 2: 'four' is no number");
  CHECK(csv_refusal("1,2\n3,\n") == "test-file: line 2, column 2: the field is empty");
  CHECK(csv_refusal("1,2\n,4\n") == "test-file: line 2, column 1: the field is empty");
  CHECK(csv_refusal("1;2\n3,5;4\n") == "test-file: line 2, column 1: '3,5' is no number");
  CHECK(csv_refusal("1 2\n3 0x4\n") == "test-file: line 2, column 2: '0x4' is no number");
  CHECK(csv_refusal("1 2\n3 4f\n") == "test-file: line 2, column 2: '4f' is no number");
  CHECK(csv_refusal("1 2\n+-3 4\n") == "test-file: line 2, column 1: '+-3' is no number");
  CHECK(csv_refusal("# only a comment\n\n") == "test-file: the file holds no numbers");
  CHECK(csv_refusal("1 2\n3 \x01\x02\n") == "test-file: line 2, column 2: '\\x01\\x02' is no number");
}

TEST_CASE("csv: files of NumPy's savetxt") {
  for (const char* name : {"io_comma.csv", "io_blank.txt", "io_header.tsv"}) {
    const LoadedMatrix A = load_matrix(data(name));
    CHECK(A.format == "csv");
    CHECK(is_the_matrix(std::get<Matrix<double>>(A.content)));
  }
}

TEST_CASE_TEMPLATE("csv: what is written is read back, to the bit", T, float, double) {
  const TemporaryFolder folder;
  Matrix<T> A(3, 4, Order::row_major);
  for (Index k = 0; k < 12; ++k) A(k / 4, k % 4) = static_cast<T>(std::pow(-0.37, k) / 3);
  A(2, 3) = -std::numeric_limits<T>::infinity();
  A(0, 0) = std::numeric_limits<T>::denorm_min();
  A(0, 1) = std::numeric_limits<T>::max();
  for (const std::string name : {"A.csv", "A.tsv"}) {
    save_csv<T>(folder / name, A);
    const DenseArray back = read_csv(FileBytes::open(folder / name));
    const auto& B = std::get<Matrix<double>>(back.values);
    REQUIRE(B.rows() == 3);
    REQUIRE(B.cols() == 4);
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 4; ++j) CHECK(static_cast<T>(B(i, j)) == A(i, j));
  }
  CHECK(contents(folder / "A.tsv").find(',') == std::string::npos);
  CHECK(has(message<std::invalid_argument>([&] { save_csv<T>(folder / "none.csv", Matrix<T>(0, 4)); }),
            "a matrix of 0x4 cannot be written as text"));
}

TEST_CASE("csv: a first row that looks like numbers of another notation is no header") {
  const auto refused = [](const std::string& row, const std::string& column, const std::string& field) {
    CHECK(csv_refusal(row + "\n1;2\n") == "test-file: line 1, column " + column + ": '" + field +
                                              "' is no number, and too much like one for the line to be a header");
  };
  refused("1,5;2,5", "1", "1,5");
  refused("0x1;-0x1", "1", "0x1");
  refused("1_0;2_0", "1", "1_0");
  refused("\" -1.5D+00\";.5D+00", "1", " -1.5D+00");
  refused("5%;6%", "1", "5%");
  CHECK(csv_refusal("0x1,0x2\n") ==
        "test-file: line 1, column 1: '0x1' is no number, and too much like one for the line to be a header");
  CHECK(csv_refusal("--,--\n1,2\n") == "test-file: line 1, column 1: '--' is no number");
  for (const char* header : {"1st,2nd,3rd", "-,b,c", "+x,3 years,.net", "$,b,%", "min,25%,1a",
                             "2020-01-01,2020-01-02,1/22/20", "0-9,10-19,12:30"}) {
    CAPTURE(header);
    CHECK(is_123456(std::string(header) + "\n1,2,3\n4,5,6\n"));
  }
  CHECK(read_text("2019,2020\n1,2\n").rows() == 2);
}

TEST_CASE("csv: a '#' in quotes or in a header is no comment") {
  CHECK(is_123456("\"item #\",b,c\n1,2,3\n4,5,6\n"));
  CHECK(is_123456("item #,price,#\n1,2,3 # more\n4,5,6\n"));
  CHECK(is_123456("id #\tprice\tcount\n1\t2\t3\n4\t5\t6\n"));
  CHECK(is_123456("a,b,c # in mm, s and kg\n1,2,3\n4,5,6\n"));
  CHECK(is_123456("x y z # in mm\n1 2 3\n4 5 6\n"));
  CHECK(is_123456("  # \"a\n1,2,3#\"\n4,5,6\n"));
  CHECK(csv_refusal("1,\"2 # 3\"\n") == "test-file: line 1, column 2: '2 # 3' is no number");
  CHECK(has(csv_refusal("row #,1,2\n3,4,5\n"), "line 2, column 1"));
}

TEST_CASE("csv: integers that no double holds are told") {
  const DenseArray array = read_csv(bytes("9007199254740993,9007199254740992,-0009007199254740993\n1e300,2.5,1\n"));
  CHECK(array.notes == std::vector<std::string>{"2 integers beyond 2^53 were rounded"});
  CHECK(read_csv(bytes("18014398509481984,1.5\n12345678901234567168,1e999\n")).notes.empty());
}
