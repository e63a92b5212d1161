#include <doctest/doctest.h>

#include <cmath>
#include <instruction_sets.hpp>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <vector>

using namespace lowrank;

namespace {

/// A view of rows×cols in a larger buffer, so that the leading dimension has a gap.
template <Real T>
struct Gapped {
  Matrix<T> buffer;
  MatrixView<T> view;
  Gapped(Index rows, Index cols, Order order, Index gap, std::uint64_t stream)
      : buffer(rows + gap, cols + gap, order), view(buffer.view().block(0, 0, rows, cols)) {
    fill_normal<T>(buffer, 7, stream);
  }
};

/// A·X in double and Σ|a||x|, column after column. Computed once for each shape: entries do not depend on the order.
struct PlainSums {
  template <Real T>
  PlainSums(MatrixView<const T> A, MatrixView<const T> X) : rows(A.rows()), terms(A.cols()) {
    for (Index j = 0; j < X.cols(); ++j)
      for (Index i = 0; i < rows; ++i) {
        double sum = 0, size = 0;
        for (Index l = 0; l < terms; ++l) {
          const double term = static_cast<double>(A(i, l)) * static_cast<double>(X(l, j));
          sum += term;
          size += std::abs(term);
        }
        sums.push_back(sum);
        sizes.push_back(size);
      }
  }
  Index rows, terms;
  std::vector<double> sums, sizes;
};

/// Largest |C - reference| over the bound n·eps·Σ|a||x| + |beta·c| that a sum of n terms obeys.
template <Real T>
double worst_ratio(T alpha, const PlainSums& plain, T beta, MatrixView<const T> before, MatrixView<const T> C) {
  double worst = 0;
  const double root = std::sqrt(static_cast<double>(plain.terms));
  for (Index j = 0; j < C.cols(); ++j)
    for (Index i = 0; i < C.rows(); ++i) {
      const auto at = static_cast<std::size_t>(j * plain.rows + i);
      const double old = beta == T(0) ? 0.0 : static_cast<double>(beta) * static_cast<double>(before(i, j));
      const double bound =
          std::numeric_limits<T>::epsilon() * (std::abs(alpha) * plain.sizes[at] * root + std::abs(old)) + 1e-300;
      worst = std::max(
          worst, std::abs(static_cast<double>(C(i, j)) - (static_cast<double>(alpha) * plain.sums[at] + old)) / bound);
    }
  return worst;
}

template <Real T>
void check_shape(Index m, Index n, Index k) {
  const T alpha = T(-1.5), beta = k % 2 == 0 ? T(0) : T(0.5);
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const Gapped<T> first(m, n, Order::col_major, 3, 1), panel(n, k, Order::col_major, 2, 2);
  const PlainSums plain(MatrixView<const T>(first.view), MatrixView<const T>(panel.view));
  for (const Order order_a : {Order::col_major, Order::row_major})
    for (const Order order_c : {Order::col_major, Order::row_major})
      for_each_instruction_set([&] {
        const Gapped<T> A(m, n, order_a, 3, 1), X(n, k, order_c, 2, 2);
        Gapped<T> C(m, k, order_c, 5, 3);
        const Matrix<T> before = Matrix<T>::copy_of(C.view);
        const Matrix<T> whole_before = C.buffer.clone();
        panel_multiply<T, T>(alpha, A.view, X.view, beta, C.view);
        CHECK(worst_ratio<T>(alpha, plain, beta, before, C.view) < 2);
        // Nothing beside C is touched.
        for (Index j = 0; j < C.buffer.cols(); ++j)
          for (Index i = 0; i < C.buffer.rows(); ++i)
            if ((i >= m || j >= k) && C.buffer(i, j) != whole_before(i, j)) FAIL(i << ", " << j << " was touched");
      });
}

template <Real T>
void check_all_shapes() {
  const std::vector<std::pair<Index, Index>> sizes = {{1, 1},    {23, 130},  {24, 128}, {25, 127},
                                                      {97, 300}, {200, 129}, {401, 260}};
  for (const auto& size : sizes)
    for (const Index k : {1, 3, 8, 15, 16, 17, 33, 48, 65, 100, 130}) check_shape<T>(size.first, size.second, k);
}

}  // namespace

TEST_CASE("panel_multiply: every remainder, order and leading dimension against plain sums, on every instruction set") {
  check_all_shapes<float>();
  check_all_shapes<double>();
}

TEST_CASE("panel_multiply: a matrix in double meets a panel in float as its rounding would") {
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Gapped<double> A(401, 260, order, 3, 1);
    Matrix<float> rounded(401, 260, order), X(260, 33), C(401, 33), expected(401, 33);
    for (Index j = 0; j < 260; ++j)
      for (Index i = 0; i < 401; ++i) rounded(i, j) = static_cast<float>(A.view(i, j));
    fill_normal<float>(X, 1, 2);
    panel_multiply<double, float>(1, A.view, X, 0, C);
    panel_multiply<float, float>(1, rounded, X, 0, expected);
    for (Index j = 0; j < 33; ++j)
      for (Index i = 0; i < 401; ++i) REQUIRE(C(i, j) == expected(i, j));
  }
}

TEST_CASE("panel_multiply: a sum of nothing is nothing") {
  for (const Order order : {Order::col_major, Order::row_major}) {
    const Matrix<double> A(300, 0, order);
    const Matrix<float> X(0, 5);
    Matrix<float> C(300, 5);
    fill<float>(C, 3);
    multiply_in_float(A, X, C);
    CHECK(frobenius_norm<float>(C) == 0);
  }
}

TEST_CASE("panel_multiply: beta = 0 does not read C, and the threads do not show") {
  Matrix<float> A(500, 300, Order::row_major), X(300, 20), C(500, 20), D(500, 20);
  fill_normal<float>(A, 1, 1);
  fill_normal<float>(X, 1, 2);
  fill<float>(C, std::numeric_limits<float>::quiet_NaN());
  set_threads(1);
  panel_multiply<float, float>(1, A, X, 0, C);
  set_threads(2);
  panel_multiply<float, float>(1, A, X, 0, D);
  set_threads(0);
  for (Index j = 0; j < 20; ++j)
    for (Index i = 0; i < 500; ++i) REQUIRE(C(i, j) == D(i, j));
}
