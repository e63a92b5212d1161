#include <array>
#include <complex>

#include "../check.hpp"

using check::Dense;
using check::Laid;
using check::orders;
using lowrank::Index;
using lowrank::MatrixView;
using lowrank::Order;

namespace {

/// Entry by entry, |C - (alpha·A·B + beta·C₀)| <= 4·(k+2)·eps·(|alpha|·|A|·|B| + |beta·C₀|).
template <class T>
bool close_entrywise(const Dense& found, double alpha, const Dense& A, const Dense& B, double beta, const Dense& C0) {
  Dense expected = beta * C0, size = std::abs(beta) * C0.cwiseAbs();
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < B.cols(); ++j)
      for (Index l = 0; l < A.cols(); ++l) {
        expected(i, j) += alpha * A(i, l) * B(l, j);
        size(i, j) += std::abs(alpha * A(i, l) * B(l, j));
      }
  const double factor = 4.0 * static_cast<double>(A.cols() + 2) * check::eps<T>;
  return ((found - expected).cwiseAbs().array() <= factor * size.array()).all();
}

/// One product in all eight combinations of orders, with and without gaps between the lines.
template <class T>
void all_layouts(Index m, Index k, Index n, double alpha, double beta) {
  const Dense A = check::rounded<T>(check::gaussian(m, k, 1)), B = check::rounded<T>(check::gaussian(k, n, 2));
  const Dense C0 = check::rounded<T>(check::gaussian(m, n, 3));
  for (const Order a : orders)
    for (const Order b : orders)
      for (const Order c : orders)
        for (const Index gap : {0, 5}) {
          Laid<T> LA(A, a, gap), LB(B, b, gap), LC(C0, c, gap);
          lowrank::multiply<T>(static_cast<T>(alpha), LA, LB, static_cast<T>(beta), LC);
          CAPTURE(m);
          CAPTURE(k);
          CAPTURE(n);
          CAPTURE(gap);
          CHECK(close_entrywise<T>(check::dense<T>(LC), alpha, A, B, beta, C0));
          CHECK(LC.gaps_untouched());
        }
}

}  // namespace

TEST_CASE_TEMPLATE("multiply: every remainder of the rows, the columns and the depth", T, float, double) {
  for (const Index m : {0, 1, 2, 3, 7, 8, 9, 31, 33, 65}) {
    all_layouts<T>(m, 17, 5, 1, 0);
    all_layouts<T>(19, m, 6, 1, 0);
    all_layouts<T>(21, 9, m, 1, 0);
  }
}

TEST_CASE_TEMPLATE("multiply: thin panels beside larger matrices", T, float, double) {
  for (const Index k : {1, 2, 3, 4, 5, 7, 8, 10, 12, 15, 16, 17, 24, 30, 32, 33, 47, 48, 49, 60}) {
    all_layouts<T>(67, 61, k, 1, 0);   // A·X
    all_layouts<T>(k, 67, 61, -1, 1);  // XᵀA
    all_layouts<T>(97, k, 53, 0.5, -2);
  }
}

TEST_CASE_TEMPLATE("multiply: large panels, blocks cut where kernels cut them", T, float, double) {
  for (const auto [m, k, n] : {std::array<Index, 3>{509, 383, 13}, {383, 509, 30}, {300, 1201, 20}, {1201, 300, 40}})
    for (const Order a : orders)
      for (const Order b : orders)
        for (const Order c : orders) {
          const Dense A = check::rounded<T>(check::gaussian(m, k, 4)), B = check::rounded<T>(check::gaussian(k, n, 5));
          Laid<T> LA(A, a, 3), LB(B, b, 1), LC(m, n, c, 2);
          lowrank::multiply<T>(T(1), LA, LB, T(0), LC);
          const Dense difference = (check::dense<T>(LC) - A * B).cwiseAbs();
          const Dense size = A.cwiseAbs() * B.cwiseAbs();
          CHECK((difference.array() <= static_cast<double>(k) * check::eps<T> * size.array()).all());
          CHECK(LC.gaps_untouched());
        }
}

TEST_CASE_TEMPLATE("multiply: two long panels against each other, in any order, by any number of threads", T, float,
                   double) {
  for (const auto [m, k, n] :
       {std::array<Index, 3>{31, 2048, 20}, {96, 3001, 32}, {130, 5000, 7}, {250, 2500, 48}, {24, 66000, 5}})
    for (const Order a : orders)
      for (const Order b : orders) {
        const Dense A = check::rounded<T>(check::gaussian(m, k, 4)), B = check::rounded<T>(check::gaussian(k, n, 5));
        const Dense C0 = check::rounded<T>(check::gaussian(m, n, 6));
        const Laid<T> LA(A, a, 3), LB(B, b, 1);
        Laid<T> one(C0, Order::col_major, 2), several(C0, Order::col_major, 2);
        lowrank::set_threads(1);
        lowrank::multiply<T>(T(-1), LA, LB, T(0.5), one);
        lowrank::set_threads(3);
        lowrank::multiply<T>(T(-1), LA, LB, T(0.5), several);
        lowrank::set_threads(0);
        // By columns a product of few rows is OpenBLAS's, which may cut it by the number of threads.
        if (a == Order::row_major) CHECK(check::dense<T>(one) == check::dense<T>(several));
        CHECK(close_entrywise<T>(check::dense<T>(several), -1, A, B, 0.5, C0));
        CHECK(several.gaps_untouched());
      }
}

TEST_CASE_TEMPLATE("multiply: alpha and beta", T, float, double) {
  for (const double alpha : {0.0, 1.0, -1.0, 2.5})
    for (const double beta : {0.0, 1.0, -1.0, 0.25}) {
      all_layouts<T>(13, 11, 10, alpha, beta);
      all_layouts<T>(13, 0, 10, alpha, beta);
    }
}

TEST_CASE_TEMPLATE("multiply: with beta = 0 the old C is not read", T, float, double) {
  for (const Index n : {1, 4, 10, 40})
    for (const Order order : orders) {
      const Dense A = check::rounded<T>(check::gaussian(50, 40, 1)), B = check::rounded<T>(check::gaussian(40, n, 2));
      Laid<T> LA(A, order), LB(B, order), LC(50, n, order);
      lowrank::fill<T>(LC, std::numeric_limits<T>::quiet_NaN());
      lowrank::multiply<T>(T(1), LA, LB, T(0), LC);
      CHECK(close_entrywise<T>(check::dense<T>(LC), 1, A, B, 0, Dense::Zero(50, n)));
      Laid<T> none(50, 0, order), none_too(0, n, order);
      lowrank::fill<T>(LC, std::numeric_limits<T>::quiet_NaN());
      lowrank::multiply<T>(T(1), none, none_too, T(0), LC);
      CHECK(check::dense<T>(LC).isZero(0));
    }
}

TEST_CASE_TEMPLATE("multiply: NaN and Inf of A and B reach the result", T, float, double) {
  for (const Index n : {1, 10, 33})
    for (const Order order : orders) {
      Laid<T> A(check::gaussian(20, 30, 1), order), B(Dense::Ones(30, n), order), C(20, n, order);
      A(3, 4) = std::numeric_limits<T>::quiet_NaN();
      A(5, 6) = std::numeric_limits<T>::infinity();
      lowrank::multiply<T>(T(1), A, B, T(0), C);
      CHECK(std::isnan(C(3, n - 1)));
      CHECK(std::isinf(C(5, 0)));
      CHECK(std::isfinite(C(4, 0)));
    }
}

TEST_CASE_TEMPLATE("multiply: blocks of larger matrices, and the product function", T, float, double) {
  const Dense A = check::rounded<T>(check::gaussian(40, 30, 6)), B = check::rounded<T>(check::gaussian(30, 20, 7));
  for (const Order order : orders) {
    Laid<T> LA(A, order), LB(B, order);
    const auto C = lowrank::product<T>(LA.view().block(3, 5, 21, 17), LB.view().block(2, 1, 17, 9));
    CHECK(C.order() == Order::col_major);
    CHECK(close_entrywise<T>(check::dense(C), 1, A.block(3, 5, 21, 17), B.block(2, 1, 17, 9), 0, Dense::Zero(21, 9)));
    const auto AtA = lowrank::product<T>(LA.view().transposed(), LA.view());
    CHECK(close_entrywise<T>(check::dense(AtA), 1, A.transpose(), A, 0, Dense::Zero(30, 30)));
  }
}

TEST_CASE_TEMPLATE("multiply: shapes that do not fit are refused with the shapes", T, float, double) {
  Laid<T> A(3, 4), B(5, 6), B_fits(4, 6), C(3, 6), C_short(2, 6), C_thin(3, 5);
  const auto wrong = check::refusal([&] { lowrank::multiply<T>(T(1), A, B, T(0), C); });
  for (const char* part : {"3", "4", "5", "6"}) CHECK(check::contains(wrong, part));
  CHECK(check::contains(check::refusal([&] { lowrank::multiply<T>(T(1), A, B_fits, T(0), C_short); }), "2"));
  CHECK_THROWS_AS((lowrank::multiply<T>(T(1), A, B_fits, T(0), C_thin)), std::invalid_argument);
  CHECK_THROWS_AS((lowrank::product<T>(A, B)), std::invalid_argument);
}

TEST_CASE_TEMPLATE("multiply: one column, and few, are summed alike by any number of threads", T, float, double) {
  for (const Order order : orders)
    for (const Index k : {1, 2, 7}) {
      const Laid<T> A(check::rounded<T>(check::gaussian(611, 403, 1)), order, 3);
      const Laid<T> X(check::rounded<T>(check::gaussian(403, k, 2)), Order::row_major, 2);
      Laid<T> one(611, k, Order::row_major, 4), several(611, k, Order::row_major, 4);
      lowrank::set_threads(1);
      lowrank::multiply<T>(T(1), A, X, T(0), one);
      lowrank::set_threads(3);
      lowrank::multiply<T>(T(1), A, X, T(0), several);
      lowrank::set_threads(0);
      CHECK(check::dense<T>(one) == check::dense<T>(several));
    }
}
