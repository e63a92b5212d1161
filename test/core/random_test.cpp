#include <array>
#include <cstring>
#include <lowrank/core/random.hpp>
#include <numbers>
#include <vector>

#include "../check.hpp"
#include "../instruction_sets.hpp"

using check::Laid;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::Order;
using lowrank::Philox;

namespace {

template <class T>
Matrix<T> normals(Index rows, Index cols, std::uint64_t seed, std::uint64_t stream, Index first_row = 0,
                  Order order = Order::col_major) {
  Matrix<T> X(rows, cols, order);
  lowrank::fill_normal<T>(X, seed, stream, first_row);
  return X;
}

template <class T>
bool same(const Matrix<T>& A, const Matrix<T>& B) {
  if (A.rows() != B.rows() || A.cols() != B.cols()) return false;
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j)
      if (A(i, j) != B(i, j)) return false;
  return true;
}

}  // namespace

// The known answers of Random123's own tests (kat_vectors, philox4x32 with 10 rounds): the counter's four words are
// row, position, the high bits of the row with the low ones of the stream, and the rest of the stream.
TEST_CASE("Philox: the published known answers") {
  CHECK(Philox(0, 0).word(0, 0) == 0x6627e8d5e169c58du);
  CHECK(Philox(0xffffffffffffffff, 0xffffffffffff).word(0xffffffffffff, 0xffffffff) == 0x408f276d41c83b0eu);
  CHECK(Philox(0x299f31d0a4093822, 0x037073441319).word(0x8a2e243f6a88, 0x85a308d3) == 0xd16cfe0994fdccebu);

  const auto uniform = [](std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; };
  const double u = uniform(0x6627e8d5e169c58d), v = uniform(0xbc57ac4c9b00dbd8);
  const double radius = std::sqrt(-2 * std::log(1 - u)), angle = 2 * std::numbers::pi * v;
  const auto pair = Philox(0, 0).normal_pair(0, 0);
  CHECK(check::near(pair.first, radius * std::cos(angle), 1e-14));
  CHECK(check::near(pair.second, radius * std::sin(angle), 1e-14));
}

TEST_CASE("Philox: seeds, streams, rows and positions all count") {
  const auto word = Philox(1, 2).word(3, 4);
  CHECK(Philox(2, 2).word(3, 4) != word);
  CHECK(Philox(1 | 1ull << 40, 2).word(3, 4) != word);
  CHECK(Philox(1, 3).word(3, 4) != word);
  CHECK(Philox(1, 2 | 1ull << 40).word(3, 4) != word);
  CHECK(Philox(1, 2).word(4, 4) != word);
  CHECK(Philox(1, 2).word(3 | 1ull << 40, 4) != word);
  CHECK(Philox(1, 2).word(3, 5) != word);
}

TEST_CASE("Box and Muller's transform: within a few units of the last place of exact values") {
  using Exact = long double;
  const std::uint64_t top = (std::uint64_t{1} << 53) - 1;
  std::vector<std::uint64_t> words{0, 1, 2, 3, 1000, top, top - 1, top - 2, top / 2, top / 2 + 1, top / 4, top / 4 + 1,
                                   top / 8, top / 8 + 1, top / 8 * 3, top / 8 * 5, top / 8 * 7 + 3, top / 16 * 15,
                                   // About where the logarithm's exponent changes: 1 - √½.
                                   2638175768014979, 2638175768014980, 2638175768014981};
  for (std::uint64_t i = 0; i < 400; ++i) words.push_back(Philox(5, 5).word(i) >> (11 + i % 40));
  double worst = 0;
  for (const std::uint64_t u : words)
    for (const std::uint64_t v : words) {
      const Exact radius = std::sqrt(-2 * std::log1p(-static_cast<Exact>(u) * 0x1p-53L));
      const Exact angle = 2 * std::numbers::pi_v<Exact> * (static_cast<Exact>(v) * 0x1p-53L);
      const auto [first, second] = lowrank::BoxMuller::of(u, v);
      // Near the axes long double's own angle is as far from exact as double's result: so in units of the radius.
      for (const auto& [found, exact] :
           {std::pair{first, radius * std::cos(angle)}, std::pair{second, radius * std::sin(angle)}})
        if (radius > 0)
          worst = std::max(worst, static_cast<double>(std::abs(found - exact) / radius));
        else
          CHECK(found == 0);
    }
  CHECK(worst <= 2.5 * check::eps<double>);
}

TEST_CASE_TEMPLATE("fill_normal: entries are the pairs of random.hpp, bit for bit, in vectors of any length", T, float,
                   double) {
  for_each_instruction_set([] {
    for (const std::uint64_t seed : {std::uint64_t{42}, ~std::uint64_t{0}})
      for (const std::uint64_t stream : {std::uint64_t{3}, std::uint64_t{0xfedcba987654}})
        for (const Index first_row : {Index{11}, (Index{1} << 32) - 5, (Index{1} << 47) + 1})
          for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {5, 7}, {19, 2}, {300, 3}}) {
            const auto X = normals<T>(rows, cols, seed, stream, first_row);
            Index others = 0;
            for (Index i = 0; i < rows; ++i)
              for (Index j = 0; j < cols; ++j) {
                const auto pair =
                    Philox(seed, stream)
                        .normal_pair(static_cast<std::uint64_t>(first_row + i), static_cast<std::uint32_t>(j / 2));
                others += X(i, j) != static_cast<T>(j % 2 == 0 ? pair.first : pair.second);
              }
            CHECK(others == 0);
          }
  });
}

TEST_CASE_TEMPLATE("fill_normal: the same bits for any thread count, order, block and leading dimension", T, float,
                   double) {
  Matrix<T> one(1, 1), two(1, 1);
  {
    const check::Threads threads(1);
    one = normals<T>(2000, 33, 7, 1);
  }
  {
    const check::Threads threads(2);
    two = normals<T>(2000, 33, 7, 1);
  }
  CHECK(same(one, two));
  CHECK(same(one, normals<T>(2000, 33, 7, 1, 0, Order::row_major)));
  for (const Index first : {0, 1, 999, 1990}) {
    const auto block = normals<T>(10, 33, 7, 1, first);
    CHECK(std::memcmp(&block(0, 0), Matrix<T>::copy_of(one.view().middle_rows(first, 10)).data(), sizeof(T) * 330) ==
          0);
  }
  for (const Index cols : {1, 2, 3, 8, 32})
    CHECK(same(normals<T>(2000, cols, 7, 1), Matrix<T>::copy_of(one.left_cols(cols))));
  for (const Order order : {Order::col_major, Order::row_major}) {
    Laid<T> gaps(50, 9, order, 3);
    lowrank::fill_normal<T>(gaps, 7, 1);
    CHECK(same(Matrix<T>::copy_of(gaps), Matrix<T>::copy_of(one.view().block(0, 0, 50, 9))));
    CHECK(gaps.gaps_untouched());
  }
  CHECK_FALSE(same(one, normals<T>(2000, 33, 8, 1)));
  CHECK_FALSE(same(one, normals<T>(2000, 33, 7, 2)));
  CHECK(normals<T>(0, 4, 1, 1).empty());
}

TEST_CASE_TEMPLATE("fill_normal: moments, correlations and tails of a million numbers", T, float, double) {
  const auto X = normals<T>(10000, 100, 12345, 9);
  double mean = 0, square = 0, third = 0, fourth = 0, neighbours = 0, below = 0, beyond = 0;
  for (Index j = 0; j < 100; ++j)
    for (Index i = 0; i < 10000; ++i) {
      const double x = static_cast<double>(X(i, j));
      mean += x, square += x * x, third += x * x * x, fourth += x * x * x * x;
      if (j > 0) neighbours += x * static_cast<double>(X(i, j - 1));
      below += x<-1, beyond += std::abs(x)> 3;
    }
  // Five standard deviations of each estimate.
  const double n = 1e6, unit = 5 / std::sqrt(n);
  CHECK(std::abs(mean / n) < unit);
  CHECK(std::abs(square / n - 1) < std::sqrt(2.0) * unit);
  CHECK(std::abs(third / n) < std::sqrt(15.0) * unit);
  CHECK(std::abs(fourth / n - 3) < std::sqrt(96.0) * unit);
  CHECK(std::abs(neighbours / n) < unit);
  CHECK(std::abs(below / n - 0.158655) < 0.37 * unit);
  CHECK(std::abs(beyond / n - 0.0026998) < 0.052 * unit);
}

TEST_CASE("fill_normal: values that must not change between versions") {
  const auto X = normals<double>(3, 4, 0, 0), Y = normals<double>(3, 4, 0x123456789abcdef0, 42, 1000000);
  const double first[3][4] = {{-0.090473058441202667, -1.0051318150657187, -0.99178679764514421, 0.31039735264572987},
                              {-0.92383355109469789, -2.5129537248904099, 1.0524280959531331, -0.1022974606353922},
                              {0.12542508072952097, 0.15346221557314738, -0.17789237014524245, 0.40899265519735262}};
  const double second[3][4] = {
      {-0.50340346179593887, -0.076055314023219106, -0.73344478800743085, -0.35714102495164846},
      {1.1696591754325714, -0.59964604445324388, 1.5572856078300821, -2.0970180890561929},
      {-0.47093527211572284, 0.077089634046604183, -0.13172979981248376, 0.21429439475870729}};
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 4; ++j) {
      CHECK(std::abs(X(i, j) - first[i][j]) < 1e-15);
      CHECK(std::abs(Y(i, j) - second[i][j]) < 1e-15);
    }
}
