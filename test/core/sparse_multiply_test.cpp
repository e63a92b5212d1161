#include <lowrank/core/sparse_multiply.hpp>
#include <numeric>

#include "../check.hpp"
#include "../instruction_sets.hpp"

using check::Dense;
using check::Laid;
using lowrank::Index;
using lowrank::Order;

namespace {

/// Rows of different lengths, every fifth empty, the last one full; in each row the columns in order or not.
template <class T>
struct Rows {
  Rows(Index m, Index n, Index per_row, bool in_order) : rows(m), cols(n), sorted(in_order) {
    const Dense G = check::gaussian(m * per_row + n, 1, 7);
    for (Index i = 0; i < m; ++i) {
      const bool full = i + 1 == m;
      const Index count = full ? n : i % 5 == 2 ? 0 : std::min(n, i * 37 % (2 * per_row + 1));
      const std::size_t begin = col.size();
      for (Index e = 0; e < count; ++e) col.push_back(full ? e : (i * 131 + e * (n / count)) % n);
      std::sort(col.begin() + static_cast<std::ptrdiff_t>(begin), col.end());
      if (!sorted) std::reverse(col.begin() + static_cast<std::ptrdiff_t>(begin), col.end());
      start.push_back(static_cast<Index>(col.size()));
    }
    for (std::size_t e = 0; e < col.size(); ++e)
      value.push_back(static_cast<T>(G(static_cast<Index>(e) % G.rows(), 0)));
  }
  /// Aᵀ by rows, each in the order of A's.
  Rows transposed() const {
    std::vector<std::vector<std::pair<Index, T>>> lines(static_cast<std::size_t>(cols));
    for (Index i = 0; i < rows; ++i)
      for (auto e = static_cast<std::size_t>(start[static_cast<std::size_t>(i)]);
           e < static_cast<std::size_t>(start[static_cast<std::size_t>(i + 1)]); ++e)
        lines[static_cast<std::size_t>(col[e])].emplace_back(i, value[e]);
    Rows result(cols, rows, true);
    for (const auto& line : lines) {
      for (const auto& [i, entry] : line) {
        result.col.push_back(i);
        result.value.push_back(entry);
      }
      result.start.push_back(static_cast<Index>(result.col.size()));
    }
    return result;
  }
  lowrank::CompressedRows<T> view() const { return {rows, cols, start.data(), col.data(), value.data(), sorted}; }

  Index rows, cols;
  bool sorted;
  std::vector<Index> start{0}, col;
  std::vector<T> value;

 private:
  Rows(Index m, Index n, bool in_order) : rows(m), cols(n), sorted(in_order) {}
};

template <class T, class S>
void agrees(const Rows<S>& A, Index k, Order of_x, Order of_y) {
  CAPTURE(A.cols);
  CAPTURE(k);
  const Dense X = check::rounded<T>(check::gaussian(A.cols, k, 5));
  const Laid<T> x(X, of_x, 3);
  Laid<T> y(Dense::Constant(A.rows, k, 77), of_y, 2);
  lowrank::sparse_multiply<T>(A.view(), x, y);
  CHECK(y.gaps_untouched());
  const Dense Y = check::dense<T>(y);
  for (Index i = 0; i < A.rows; ++i) {
    Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(k), size = sum;
    for (auto e = static_cast<std::size_t>(A.start[static_cast<std::size_t>(i)]);
         e < static_cast<std::size_t>(A.start[static_cast<std::size_t>(i + 1)]); ++e) {
      const Eigen::RowVectorXd term = static_cast<double>(A.value[e]) * X.row(A.col[e]);
      sum += term;
      size += term.cwiseAbs();
    }
    const double sums = std::sqrt(static_cast<double>(A.cols) + 1);
    REQUIRE(((Y.row(i) - sum).cwiseAbs().array() <= (sums * check::eps<T> * size).array()).all());
  }
}

/// Aᵀ·X is what the rows of Aᵀ give, to the bit.
template <class T, class S>
void agrees_transposed(const Rows<S>& A, const Rows<S>& At, Index k, Order of_x, Order of_y) {
  CAPTURE(A.cols);
  CAPTURE(k);
  const Laid<T> x(check::rounded<T>(check::gaussian(A.rows, k, 5)), of_x, 3);
  Laid<T> y(Dense::Constant(A.cols, k, 77), of_y, 2), wanted(A.cols, k);
  lowrank::sparse_multiply_transposed<T>(A.view(), x, y);
  lowrank::sparse_multiply<T>(At.view(), x, wanted);
  CHECK(y.gaps_untouched());
  REQUIRE(check::dense<T>(y) == check::dense<T>(wanted));
}

template <class T, class S>
void agrees_both_ways(const Rows<S>& A, Index k, Order of_x, Order of_y) {
  agrees<T>(A, k, of_x, of_y);
  agrees_transposed<T>(A, A.transposed(), k, of_x, of_y);
}

const std::vector<Index> widths{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 60, 64, 127};

}  // namespace

TEST_CASE_TEMPLATE("sparse_multiply: every instruction set, all remainders, both orders", T, float, double) {
  for_each_instruction_set([] {
    for (const auto& [m, n] : {std::pair<Index, Index>{1, 1}, {64, 40}, {150, 97}}) {
      const Rows<T> A(m, n, 9, true);
      for (const Index k : widths)
        for (const Order of_x : {Order::col_major, Order::row_major})
          agrees_both_ways<T>(A, k, of_x, k % 2 == 0 ? Order::col_major : Order::row_major);
    }
  });
}

TEST_CASE("sparse_multiply: entries in double are rounded to a float panel's precision") {
  for_each_instruction_set([] {
    const Rows<double> A(150, 97, 9, true);
    for (const Index k : widths)
      for (const Order of_x : {Order::col_major, Order::row_major})
        agrees_both_ways<float>(A, k, of_x, k % 2 == 0 ? Order::col_major : Order::row_major);
  });
}

TEST_CASE_TEMPLATE("sparse_multiply_transposed: sides beyond the cache, any number of threads, rows in any order", T,
                   float, double) {
  // One cache line of each of its rows, two, and not even one stay in the cache.
  for (const Index n : {100'003, 60'001, 140'003})
    for (const bool sorted : {true, false}) {
      const Rows<T> A(20, n, 300, sorted);
      const Rows<T> At = A.transposed();
      for (const int count : {1, 2, 3}) {
        const check::Threads threads(count);
        for (const Index k : {1, 20, 75}) agrees_transposed<T>(A, At, k, Order::col_major, Order::row_major);
      }
    }
}

TEST_CASE_TEMPLATE("sparse_multiply: panels beyond the cache, in blocks where the rows are sorted", T, float, double) {
  for (const bool sorted : {true, false})
    for (const int count : {1, 2}) {
      const check::Threads threads(count);
      const Rows<T> A(70, 17'001, 300, sorted);
      for (const Index k : {129, 200})
        for (const Order of_x : {Order::col_major, Order::row_major})
          agrees<T>(A, k, of_x, k == 200 ? Order::col_major : Order::row_major);
    }
  // Few entries a row: not worth the blocks.
  agrees<T>(Rows<T>(9000, 17'001, 2, true), 130, Order::col_major, Order::col_major);
}

TEST_CASE_TEMPLATE("sparse_multiply: a row is the same to the bit with any number of threads", T, float, double) {
  const Rows<T> A(300, 17'001, 200, true);
  const Laid<T> x(check::gaussian(A.cols, 150, 5), Order::col_major);
  Laid<T> one(A.rows, 150), two(A.rows, 150);
  {
    const check::Threads threads(1);
    lowrank::sparse_multiply<T>(A.view(), x, one);
  }
  const check::Threads threads(2);
  lowrank::sparse_multiply<T>(A.view(), x, two);
  CHECK(check::dense<T>(one) == check::dense<T>(two));
}

TEST_CASE_TEMPLATE("sparse_multiply: nothing to multiply gives zeros", T, float, double) {
  const std::vector<Index> start(5, 0);
  for (const Index n : {0, 6}) {
    const Laid<T> x(n, 3);
    Laid<T> y(Dense::Constant(4, 3, 5), Order::col_major);
    const lowrank::CompressedRows<T> A{4, n, start.data(), nullptr, nullptr, true};
    lowrank::sparse_multiply<T>(A, x, y);
    CHECK(check::dense<T>(y).isZero(0));
    const Laid<T> z(4, 3);
    Laid<T> w(Dense::Constant(n, 3, 5), Order::col_major);
    lowrank::sparse_multiply_transposed<T>(A, z, w);
    CHECK(check::dense<T>(w).isZero(0));
  }
}
