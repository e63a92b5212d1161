#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <instruction_sets.hpp>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <vector>

/// Kernels for products against plain sums.

namespace lowrank {

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

/// C = alpha·A·X + beta·C by `multiply`(alpha, A, X, beta, C), with gaps between the lines of all three and C in either
/// order, on every instruction set, against plain sums; beta is 0 for an even k.
template <Real T, class Multiply>
void check_product(Index m, Index n, Index k, std::initializer_list<Order> orders_of_a, const Multiply& multiply) {
  const T alpha = T(-1.5), beta = k % 2 == 0 ? T(0) : T(0.5);
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const Gapped<T> first(m, n, Order::col_major, 3, 1), panel(n, k, Order::col_major, 2, 2);
  const PlainSums plain(MatrixView<const T>(first.view), MatrixView<const T>(panel.view));
  for (const Order order_a : orders_of_a)
    for (const Order order_c : {Order::col_major, Order::row_major})
      for_each_instruction_set([&] {
        const Gapped<T> A(m, n, order_a, 3, 1), X(n, k, order_c, 2, 2);
        Gapped<T> C(m, k, order_c, 5, 3);
        const Matrix<T> before = Matrix<T>::copy_of(C.view);
        const Matrix<T> whole_before = C.buffer.clone();
        multiply(alpha, MatrixView<const T>(A.view), MatrixView<const T>(X.view), beta, C.view);
        CHECK(worst_ratio<T>(alpha, plain, beta, before, C.view) < 2);
        // Nothing beside C is touched.
        for (Index j = 0; j < C.buffer.cols(); ++j)
          for (Index i = 0; i < C.buffer.rows(); ++i)
            if ((i >= m || j >= k) && C.buffer(i, j) != whole_before(i, j)) FAIL(i << ", " << j << " was touched");
      });
}

}  // namespace lowrank
