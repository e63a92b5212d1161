#include <lowrank/svd/rank.hpp>
#include <lowrank/svd/svd.hpp>

#include "operator_check.hpp"

using check::Dense;
using lowrank::Index;
using lowrank::MatrixView;

namespace {

/// The least that a user writes: shapes and two products.
template <class T>
struct Mine final : lowrank::LinearOperator<T> {
  explicit Mine(const Dense& values) : A(lowrank::Matrix<T>(values.rows(), values.cols())) {
    for (Index i = 0; i < A.rows(); ++i)
      for (Index j = 0; j < A.cols(); ++j) A(i, j) = static_cast<T>(values(i, j));
  }
  Index rows() const override { return A.rows(); }
  Index cols() const override { return A.cols(); }
  void multiply(MatrixView<const T> X, MatrixView<T> Y) const override { lowrank::multiply<T>(1, A, X, 0, Y); }
  void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const override {
    lowrank::multiply<T>(1, A.view().transposed(), X, 0, Y);
  }
  lowrank::Matrix<T> A;
};

std::vector<double> falling_powers(Index count, double ratio) {
  std::vector<double> sigma;
  for (Index i = 0; i < count; ++i) sigma.push_back(std::pow(ratio, static_cast<double>(i)));
  return sigma;
}

}  // namespace

TEST_CASE_TEMPLATE("user's operator: the defaults agree with the matrix", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{40, 25}, {25, 40}, {300, 3}, {3, 300}, {0, 3}}) {
    const Dense A = check::rounded<T>(check::gaussian(m, n, 1));
    const Mine<T> mine(A);
    check::operator_agrees<T>(mine, A);
    CHECK_FALSE(mine.frobenius_norm().has_value());
    CHECK_FALSE(mine.residual_norm(mine.A, mine.A).has_value());
    CHECK_FALSE(mine.entries().has_value());
  }
}

TEST_CASE_TEMPLATE("user's operator: truncated SVD with every wish although the norm is not known", T, float, double) {
  const auto sigma = falling_powers(120, 0.8);
  for (const auto& [m, n] : {std::pair<Index, Index>{200, 150}, {150, 200}}) {
    const Dense A = check::rounded<T>(check::with_spectrum(m, n, sigma, 3));
    const Mine<T> mine(A);
    for (const auto method : {lowrank::SvdMethod::automatic, lowrank::SvdMethod::randomized, lowrank::SvdMethod::krylov,
                              lowrank::SvdMethod::exact})
      for (const lowrank::Truncation wish :
           {lowrank::Truncation{.rank = 12}, lowrank::Truncation{.energy = 0.99}, lowrank::Truncation{.rtol = 0.01}}) {
        lowrank::SvdOptions options;
        options.method = method;
        const auto svd = lowrank::truncated_svd<T>(mine, wish, options);
        const Dense E = A - check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
        const double rounding = 100 * check::eps<T> * A.norm();
        CAPTURE(svd.method);
        CAPTURE(svd.reason);
        CHECK(svd.converged);
        CHECK(E.norm() <= 1.01 * check::best_error(sigma, svd.rank()) + rounding);
        CHECK(svd.certificate.error_bound >= check::spectral_norm(E) - rounding);
        CHECK(svd.certificate.relative_error >= (E.norm() - rounding) / A.norm());
        if (wish.rank) CHECK(svd.rank() == wish.rank);
        if (wish.energy > 0) CHECK(E.norm() <= 0.1 * A.norm() + rounding);
        if (wish.rtol > 0) CHECK(E.norm() <= wish.rtol * A.norm() + rounding);
      }
  }
}

TEST_CASE_TEMPLATE("user's operator: rank by every method", T, float, double) {
  for (const Index rank : {1, 7, 60}) {
    const Mine<T> mine(check::gaussian(200, rank, 1) * check::gaussian(rank, 150, 2));
    for (const auto method : {lowrank::RankMethod::automatic, lowrank::RankMethod::svd, lowrank::RankMethod::qr,
                              lowrank::RankMethod::randomized}) {
      const auto found = lowrank::matrix_rank<T>(mine, {.method = method});
      CAPTURE(found.reason);
      CHECK(found.rank == rank);
      CHECK(found.certified);
    }
  }
}
