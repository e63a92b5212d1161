#include <lowrank/gen/haar.hpp>

#include "gen_check.hpp"

using gen_check::Index;
using gen_check::Matrix;

namespace {

Matrix<double> haar(Index rows, Index cols, std::uint64_t seed) {
  Matrix<double> panel(rows, cols);
  lowrank::fill_normal<double>(panel, seed, 0);
  lowrank::haar_from_gaussian(panel);
  return panel;
}

}  // namespace

TEST_CASE("haar: orthonormal columns at shapes around the blocks' sizes") {
  const Index shapes[][2] = {{1, 1}, {2, 2}, {5, 3}, {64, 64}, {65, 65}, {63, 63}, {129, 128}, {300, 190}, {1000, 1}};
  for (const auto& [rows, cols] : shapes) {
    CAPTURE(rows);
    CAPTURE(cols);
    CHECK(gen_check::orthogonality_ratio(haar(rows, cols, 3)) < 10);
  }
  CHECK(haar(5, 0, 1).cols() == 0);
  CHECK(haar(0, 0, 1).rows() == 0);
}

TEST_CASE("haar: the first column is the first Gaussian column, normed") {
  Matrix<double> gaussian(90, 70);
  lowrank::fill_normal<double>(gaussian, 4, 0);
  const double norm = lowrank::column_norms<double>(gaussian).front();
  const Matrix<double> Q = haar(90, 70, 4);
  for (Index i = 0; i < 90; ++i) CHECK(Q(i, 0) == doctest::Approx(gaussian(i, 0) / norm).epsilon(1e-12));
}

TEST_CASE("haar: moments of the entries over many small matrices") {
  // Of a Haar matrix of order 3 each entry has mean 0, variance 1/3 and fourth moment 3/(3·5).
  constexpr int count = 4000;
  for (const auto& [i, j] : {std::pair{0, 0}, {2, 0}, {0, 2}, {2, 2}, {1, 1}}) {
    double mean = 0, second = 0, fourth = 0;
    for (int s = 0; s < count; ++s) {
      const double q = haar(3, 3, static_cast<std::uint64_t>(s))(i, j);
      mean += q / count;
      second += q * q / count;
      fourth += q * q * q * q / count;
    }
    CAPTURE(i);
    CAPTURE(j);
    CHECK(std::abs(mean) < 0.04);
    CHECK(std::abs(second - 1.0 / 3) < 0.02);
    CHECK(std::abs(fourth - 0.2) < 0.02);
  }
}

TEST_CASE("haar: a column of zeros gives orthonormal columns too") {
  Matrix<double> panel(40, 5);
  lowrank::fill<double>(panel, 0.0);
  lowrank::haar_from_gaussian(panel);
  CHECK(gen_check::orthogonality_ratio(panel) < 10);
}

TEST_CASE("haar: the progress reaches 1, and its exception the caller; wrong panels are refused") {
  Matrix<double> panel(200, 150);
  lowrank::fill_normal<double>(panel, 1, 0);
  double last = 0;
  lowrank::haar_from_gaussian(panel, [&](const lowrank::Progress& p) {
    CHECK(p.fraction > last);
    last = p.fraction;
  });
  CHECK(last == 1);
  const auto stop = [](const lowrank::Progress&) { throw std::runtime_error("stop"); };
  CHECK_THROWS_WITH(lowrank::haar_from_gaussian(panel, stop), "stop");
  CHECK(gen_check::contains(gen_check::refusal([&] { lowrank::haar_from_gaussian(panel.view().transposed()); }),
                            "150x200"));
  Matrix<double> rows(5, 3, lowrank::Order::row_major);
  CHECK(gen_check::contains(gen_check::refusal([&] { lowrank::haar_from_gaussian(rows); }), "column-major"));
}
