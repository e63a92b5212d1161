#include <lowrank/io/gzip.hpp>
#include <lowrank/io/load.hpp>
#include <lowrank/io/matrix_market.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

MatrixMarketMatrix read_market(const std::string& text) { return read_matrix_market(bytes(text)); }
SparseMatrix<double> sparse(const std::string& text) {
  return std::get<SparseMatrix<double>>(read_market(text).values);
}
Matrix<double> dense(const std::string& text) { return std::move(std::get<Matrix<double>>(read_market(text).values)); }
std::string market_refusal(const std::string& text) {
  return message([&] { read_market(text); });
}
const std::string general = "%%MatrixMarket matrix coordinate real general\n";

void check_scipy_matrix(const std::string& name, bool pattern = false) {
  const LoadedMatrix A = load_matrix(data(name));
  const auto& S = std::get<SparseMatrix<double>>(A.content);
  REQUIRE(S.rows() == 4);
  REQUIRE(S.cols() == 5);
  CHECK(S.nonZeros() == 4);
  CHECK(S.coeff(0, 2) == (pattern ? 1 : 1.5));
  CHECK(S.coeff(3, 0) == (pattern ? 1 : -2.0));
  CHECK(S.coeff(1, 1) == (pattern ? 1 : 3.25));
  CHECK(S.coeff(3, 4) == (pattern ? 1 : 4.0));
  CHECK(S.isCompressed());
  CHECK(A.format == "matrix market");
}

}  // namespace

TEST_CASE("matrix market: files of SciPy") {
  check_scipy_matrix("io_sparse.mtx");
  check_scipy_matrix("io_sparse.mtx.gz");
  check_scipy_matrix("io_pattern.mtx", true);
  CHECK(is_the_matrix(std::get<Matrix<double>>(load_matrix(data("io_array.mtx")).content)));
  const LoadedMatrix symmetric = load_matrix(data("io_symmetric.mtx")),
                     array = load_matrix(data("io_symmetric_array.mtx"));
  const LoadedMatrix skew = load_matrix(data("io_skew.mtx")), skew_array = load_matrix(data("io_skew_array.mtx"));
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 3; ++j) {
      CHECK(std::get<SparseMatrix<double>>(symmetric.content).coeff(i, j) == entry(i, j) + entry(j, i));
      CHECK(std::get<Matrix<double>>(array.content)(i, j) == entry(i, j) + entry(j, i));
      CHECK(std::get<SparseMatrix<double>>(skew.content).coeff(i, j) == entry(i, j) - entry(j, i));
      CHECK(std::get<Matrix<double>>(skew_array.content)(i, j) == entry(i, j) - entry(j, i));
    }
  const LoadedMatrix integer = load_matrix(data("io_integer.mtx"));
  CHECK(std::get<SparseMatrix<double>>(integer.content).coeff(3, 2) == 11);
  REQUIRE(integer.notes.size() == 1);
  CHECK(integer.notes[0] == "integer values were converted to f64");
}

TEST_CASE("matrix market: the first line is known in any case") {
  const TemporaryFolder folder;
  put(folder / "A.mtx", "%%matrixmarket MATRIX Array real general\n1 1\n2\n");
  CHECK(std::get<Matrix<double>>(load_matrix(folder / "A.mtx").content)(0, 0) == 2);
}

TEST_CASE("matrix market: entries in any order are sorted, and equal ones added") {
  const MatrixMarketMatrix matrix =
      read_market(general + "% comment\n\n2 3 5\n2 3 1\n1 2 10\n2 1 4\n\n  2 3 2.5 \r\n1 1 7\n\n");
  const auto& S = std::get<SparseMatrix<double>>(matrix.values);
  CHECK(S.nonZeros() == 4);
  CHECK(S.coeff(1, 2) == 3.5);
  CHECK(S.coeff(0, 1) == 10);
  CHECK(S.coeff(1, 0) == 4);
  for (Index i = 0; i < 2; ++i)
    for (Index k = S.outerIndexPtr()[i]; k + 1 < S.outerIndexPtr()[i + 1]; ++k)
      CHECK(S.innerIndexPtr()[k] < S.innerIndexPtr()[k + 1]);
  REQUIRE(matrix.notes.size() == 1);
  CHECK(matrix.notes[0] == "1 entries were given more than once and added");
  CHECK(sparse(general + "3 2 0\n").rows() == 3);
  CHECK(sparse(general + "0 0 0\n").rows() == 0);
  CHECK(dense("%%MatrixMarket matrix array real general\n0 4\n").cols() == 4);
  CHECK(dense("%%matrixmarket MATRIX Array Integer General\n2 1\n1\n+2\n")(1, 0) == 2);
}

TEST_CASE("matrix market: refusals name the line") {
  CHECK(market_refusal(general + "2 2 1\n3 1 5\n") ==
        "test-file: line 3, column 1: the row index 3 is out of range: 1 to 2");
  CHECK(market_refusal(general + "2 2 1\n1 0 5\n") ==
        "test-file: line 3, column 3: the column index 0 is out of range: 1 to 2");
  CHECK(market_refusal(general + "2 2 1\n1 x 5\n") == "test-file: line 3, column 3: 'x' is no column index");
  CHECK(market_refusal(general + "2 2 1\n1 1.5 5\n") == "test-file: line 3, column 3: '1.5' is no column index");
  CHECK(market_refusal(general + "2 2 1\n1 1 five\n") == "test-file: line 3, column 5: 'five' is no number");
  CHECK(market_refusal(general + "2 2 1\n1 1 \n     ") == "test-file: line 3, column 5: the value is missing");
  CHECK(market_refusal(general + "2 2 1\n1 1 5 6\n") ==
        "test-file: line 3, column 7: '6' is one thing too many on this line");
  CHECK(market_refusal(general + "2 2 1\n1 1 5\n2 2 6\n") ==
        "test-file: line 4: more than the 1 entries that are declared");
  CHECK(market_refusal(general + "2 2 2\n1 1 5.00000\n") ==
        "test-file: line 4: 2 entries are declared, but there are 1");
  CHECK(has(market_refusal(general + "2 2 1000000000\n1 1 5\n"), "1000000000 entries are declared, but only"));
  CHECK(has(market_refusal(general + "2 2\n1 1 5\n"), "line 2, column 4: '' is no number of entries"));
  CHECK(has(market_refusal(general), "the line of sizes is missing"));
  CHECK(has(market_refusal(general + "-2 2 0\n"), "'-2' is no number of rows"));
  CHECK(has(market_refusal(general + "99999999999999999999 2 0\n"), "do not fit in 63 bits"));
  CHECK(has(market_refusal(general + "4000000000000000000 2 0\n"), "bytes of memory are available"));
  CHECK(market_refusal("%%MatrixMarket matrix coordinate complex general\n1 1 0\n") ==
        "test-file: line 1: the values are complex; only real matrices can be read");
  CHECK(has(market_refusal("%%MatrixMarket matrix coordinate real hermitian\n2 2 1\n1 2 1\n"), "above the diagonal"));
  CHECK(has(market_refusal("%%MatrixMarket vector coordinate real general\n1 1 0\n"), "the object is 'vector'"));
  CHECK(has(market_refusal("%%MatrixMarket matrix list real general\n1 1 0\n"), "the format is 'list'"));
  CHECK(has(market_refusal("%%MatrixMarket matrix array pattern general\n1 1\n"), "cannot be a pattern"));
  CHECK(has(market_refusal("%%MatrixMarket matrix coordinate real\n1 1 0\n"), "the symmetry is ''"));
  CHECK(has(market_refusal("%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 1.5\n"),
            "line 3, column 5: '1.5' is no integer"));
  const std::string symmetric = "%%MatrixMarket matrix coordinate real symmetric\n";
  CHECK(has(market_refusal(symmetric + "2 3 0\n"), "a symmetric matrix is square, but the sizes are 2 x 3"));
  CHECK(has(market_refusal(symmetric + "2 2 1\n1 2 5\n"), "line 3: the entry (1, 2) lies above the diagonal"));
  CHECK(has(market_refusal("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 2 5\n"),
            "lies on the diagonal"));
  const std::string array = "%%MatrixMarket matrix array real general\n";
  CHECK(market_refusal(array + "2 2\n1\n2\n3.000\n") == "test-file: line 6: 4 values are due, but there are 3");
  CHECK(has(market_refusal(array + "2 2\n1\n2\n3\n4\n5\n"), "line 7: more than the 4 entries"));
  CHECK(has(market_refusal(array + "1000000000 1000000000\n1\n"), "are due, but only"));
  CHECK(has(market_refusal(array + "1000000000000 1000000000000\n1\n"), "does not fit in 63 bits"));
}

TEST_CASE_TEMPLATE("matrix market: what is written is read back, packed or not", T, float, double) {
  const TemporaryFolder folder;
  SparseMatrix<T> S(300, 200);
  std::vector<Eigen::Triplet<T, Index>> triplets;
  for (Index k = 0; k < 2000; ++k)
    triplets.emplace_back(k * 7 % 300, k * 13 % 200, static_cast<T>(1) / static_cast<T>(k + 3));
  S.setFromTriplets(triplets.begin(), triplets.end());
  const Matrix<T> A = the_matrix<T>(Order::row_major);
  for (const std::string name : {"S.mtx", "S.mtx.gz"}) {
    save_matrix_market<T>(folder / name, S);
    const LoadedMatrix back = load_matrix(folder / name);
    const auto& B = std::get<SparseMatrix<double>>(back.content);
    REQUIRE(B.nonZeros() == S.nonZeros());
    CHECK(B.template cast<T>().isApprox(S, T(0)));
    save_matrix_market<T>(folder / ("A" + name), A);
    CHECK(is_the_matrix(std::get<Matrix<double>>(load_matrix(folder / ("A" + name)).content)));
  }
  CHECK(is_gzip(FileBytes::open(folder / "S.mtx.gz")));
}

TEST_CASE("matrix market: integers that no double holds are told") {
  const std::string note = "2 integers beyond 2^53 were rounded", converted = "integer values were converted to f64";
  const MatrixMarketMatrix array = read_market(
      "%%MatrixMarket matrix array integer general\n2 2\n9007199254740993\n9007199254740992\n-9007199254740993\n1\n");
  CHECK(array.notes == std::vector<std::string>{converted, note});
  CHECK(read_market(general + "2 2 2\n1 1 9007199254740993\n2 2 36028797018963969\n").notes ==
        std::vector<std::string>{note});
}
