#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/op/compose.hpp>
#include <lowrank/op/sparse.hpp>
#include <lowrank/svd/rank.hpp>

#include "../guarded_device.hpp"
#include "svd_check.hpp"

/// Operators that give what no matrix would, or less than a matrix.

using check::Dense;
using check::methods;
using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::RankMethod;
using lowrank::SvdMethod;
using lowrank::SvdOptions;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// By a matrix and another one for its adjoint, with `bad` in one entry from product number `from` on.
class Own final : public lowrank::LinearOperator<double> {
 public:
  Own(Dense A, Dense At, double bad = 0, int from = 0) : A_(std::move(A)), At_(std::move(At)), bad_(bad), from_(from) {}
  Index rows() const override { return A_.rows(); }
  Index cols() const override { return A_.cols(); }
  void multiply(MatrixView<const double> X, MatrixView<double> Y) const override { go(A_, X, Y); }
  void multiply_adjoint(MatrixView<const double> X, MatrixView<double> Y) const override { go(At_, X, Y); }
  std::optional<double> frobenius_norm() const override { return norm; }

  std::optional<double> norm;
  mutable int products = 0;

 private:
  void go(const Dense& M, MatrixView<const double> X, MatrixView<double> Y) const {
    const Matrix<double> result = check::matrix_of<double>(M * check::dense<double>(X));
    lowrank::copy<double>(result, Y);
    if (++products >= from_ && from_ > 0) Y(Y.rows() / 2, 0) = bad_;
  }
  Dense A_, At_;
  double bad_;
  int from_;
};

Dense nearly_low_rank() {
  return check::gaussian(260, 8, 1) * check::gaussian(8, 230, 2) + 1e-3 * check::gaussian(260, 230, 3);
}

}  // namespace

TEST_CASE("svd and rank of an operator: NaN and Inf in any of its products are told as such") {
  if (!check::on_host()) return;
  const Dense A = nearly_low_rank();
  for (const double bad : {std::nan(""), inf})
    for (int from = 1; from <= 6; ++from) {
      CAPTURE(from);
      const auto refuses = [&](const auto& work) {
        const Own op(A, A.transpose(), bad, from);
        try {
          work(op);
        } catch (const std::invalid_argument& e) {
          const std::string what = e.what();
          CHECK_MESSAGE((what.find("NaN") != std::string::npos || what.find("Inf") != std::string::npos), what);
          return;
        }
        // Done before the bad product came.
        CHECK(op.products < from);
      };
      for (const SvdMethod method : methods) {
        refuses([&](const Own& op) { lowrank::truncated_svd(op, {.rank = 8}, check::with(method)); });
        refuses([&](const Own& op) { lowrank::truncated_svd(op, {.rtol = 1e-2}, check::with(method)); });
      }
      for (const RankMethod method : {RankMethod::automatic, RankMethod::svd, RankMethod::qr, RankMethod::randomized})
        refuses([&](const Own& op) { lowrank::matrix_rank(op, {.tol = 0.1, .method = method}); });
    }
}

TEST_CASE("svd and rank of an operator: a norm that is none is refused") {
  if (!check::on_host()) return;
  const Dense A = nearly_low_rank();
  Own op(A, A.transpose());
  for (const double norm : {inf, std::nan(""), -1.0}) {
    op.norm = norm;
    CHECK_THROWS_AS(lowrank::truncated_svd(op, {.rank = 8}), std::invalid_argument);
    CHECK_THROWS_AS(lowrank::truncated_svd(op, {.rtol = 0.1}), std::invalid_argument);
    CHECK_THROWS_AS(lowrank::matrix_rank(op), std::invalid_argument);
  }
  // Finite entries whose norm is beyond double.
  const Matrix<double> large = check::matrix_of<double>(A);
  const lowrank::DenseOperator<double> dense(large);
  const lowrank::ScaledOperator<double> scaled(1e307, dense);
  CHECK_THROWS_WITH_AS(lowrank::truncated_svd(scaled, {.rtol = 0.3}), doctest::Contains("beyond the range of double"),
                       std::invalid_argument);
  CHECK_THROWS_AS(lowrank::matrix_rank(scaled), std::invalid_argument);
}

TEST_CASE("svd of an operator: an adjoint that is none is noticed, a right one never suspected") {
  if (!check::on_host()) return;
  const Dense A = nearly_low_rank();
  for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::randomized, SvdMethod::krylov}) {
    for (const Dense& adjoint : {Dense(2 * A.transpose()), Dense(Dense::Zero(230, 260)), Dense(-A.transpose()),
                                 Dense(check::gaussian(230, 260, 9))}) {
      const auto svd = lowrank::truncated_svd(Own(A, adjoint), {.rank = 8}, check::with(method));
      CHECK_FALSE(svd.converged);
      CHECK(svd.reason.find("contradict") != std::string::npos);
    }
    for (const double scale : {1.0, 1e-140, 1e140}) {
      const auto svd = lowrank::truncated_svd(Own(scale * A, scale * A.transpose()), {.rank = 8}, check::with(method));
      CHECK(svd.converged);
      CHECK(svd.certificate.adjoint_defect < 1e-6);
    }
    // Nothing is left but rounding.
    const Dense exact = check::gaussian(260, 8, 1) * check::gaussian(8, 230, 2);
    CHECK(lowrank::truncated_svd(Own(exact, exact.transpose()), {.rank = 8}, check::with(method))
              .certificate.adjoint_defect == 0);
  }
}

TEST_CASE("svd of sparse and product operators: a tolerance beyond what norms tell is met and proved") {
  if (!check::on_host()) return;
  const Dense L = check::gaussian(300, 20, 1), R = check::gaussian(20, 250, 2), A = L * R;
  lowrank::SparseMatrix<double> S = A.sparseView();
  const lowrank::SparseOperator<double> sparse(S);
  const Matrix<double> l = check::matrix_of<double>(L), r = check::matrix_of<double>(R);
  const lowrank::ProductOperator<double> product(l, r);
  for (const lowrank::LinearOperator<double>* op : {static_cast<const lowrank::LinearOperator<double>*>(&sparse),
                                                    static_cast<const lowrank::LinearOperator<double>*>(&product)})
    for (const lowrank::Truncation wish : {lowrank::Truncation{.rtol = 1e-8}, lowrank::Truncation{.energy = 1}}) {
      const auto svd = lowrank::truncated_svd(*op, wish);
      CHECK(svd.rank() == 20);
      CHECK(svd.converged);
      CHECK(svd.certificate.relative_error < 1e-12);
      const Dense left = check::dense(svd.U) * Eigen::Map<const Eigen::VectorXd>(svd.S.data(), 20).asDiagonal() *
                         check::dense(svd.V).transpose();
      CHECK(svd.certificate.relative_error * A.norm() >= 0.99 * (A - left).norm() - 1e-13 * A.norm());
    }
}

TEST_CASE("svd of an operator: a tolerance that needs all entries says what it lacks memory for") {
  if (!check::on_host()) return;
  class Huge final : public lowrank::LinearOperator<double> {
    Index rows() const override { return Index{1} << 30; }
    Index cols() const override { return Index{1} << 30; }
    void multiply(MatrixView<const double>, MatrixView<double>) const override {}
    void multiply_adjoint(MatrixView<const double>, MatrixView<double>) const override {}
  };
  CHECK_THROWS_WITH_AS(lowrank::truncated_svd(Huge(), {.rtol = 0.1}), doctest::Contains("frobenius_norm()"),
                       lowrank::Error);
}

TEST_CASE("svd: options out of range are refused") {
  const Matrix<double> A = check::matrix_of<double>(check::gaussian(30, 20, 1));
  const auto refuses = [&](const auto& change) {
    SvdOptions options;
    change(options);
    CHECK_THROWS_AS(lowrank::truncated_svd(A, {.rank = 3}, options), std::invalid_argument);
  };
  for (const double bad : {-1.0, 0.0, std::nan("")}) {
    refuses([&](SvdOptions& o) { o.excess = bad; });
    refuses([&](SvdOptions& o) { o.certificate.failure = bad; });
  }
  refuses([](SvdOptions& o) { o.certificate.failure = 1; });
  refuses([](SvdOptions& o) { o.max_products = 0; });
  refuses([](SvdOptions& o) { o.certificate.probes = 0; });
}

TEST_CASE("svd: what max_products cut short is not tried again and again") {
  if (!check::on_host()) return;
  const Dense A = check::gaussian(300, 280, 5);
  for (const SvdMethod method : {SvdMethod::randomized, SvdMethod::krylov}) {
    SvdOptions options = check::with(method);
    options.max_products = 1;
    const Own op(A, A.transpose());
    const auto svd = lowrank::truncated_svd(op, {.rank = 8}, options);
    CHECK_FALSE(svd.converged);
    CHECK(op.products <= 1 + 3);
  }
}

TEST_CASE_TEMPLATE("svd of a sparse matrix: small errors are measured, entry by entry", T, float, double) {
  if (!check::on_host()) return;
  // 12 rows and columns that say all, here and there.
  Dense L = Dense::Zero(900, 12), R = Dense::Zero(12, 700);
  const Dense G = check::gaussian(900, 12, 1), H = check::gaussian(12, 700, 2);
  for (Index i = 0; i < 900; ++i)
    for (Index j = 0; j < 12; ++j)
      if ((7 * i + 3 * j) % 11 == 0) L(i, j) = G(i, j);
  for (Index i = 0; i < 12; ++i)
    for (Index j = 0; j < 700; ++j)
      if ((5 * i + 2 * j) % 9 == 0) R(i, j) = H(i, j);
  const Dense A = check::rounded<T>(L * R);
  lowrank::SparseMatrix<T> S = A.template cast<T>().sparseView();
  const lowrank::SparseOperator<T> op(S);
  for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::randomized}) {
    const double rtol = std::is_same_v<T, float> ? 1e-5 : 1e-9;
    const auto svd = lowrank::truncated_svd<T>(op, {.rtol = rtol}, check::with(method));
    CHECK(svd.rank() == 12);
    CHECK(svd.converged);
    CHECK(svd.method != "exact");
    const Dense E = A - check::diagonal_product(check::dense(svd.U), svd.S, check::dense(svd.V));
    CHECK(svd.certificate.relative_error_method == "residual");
    CHECK(svd.certificate.relative_error == doctest::Approx(E.norm() / A.norm()).epsilon(0.2));
  }
  const Dense l = check::rounded<T>(check::gaussian(900, 3, 3)), r = check::rounded<T>(check::gaussian(3, 700, 4));
  CHECK(op.residual_norm(check::matrix_of<T>(l), check::matrix_of<T>(r)).value() ==
        doctest::Approx((A - l * r).norm()).epsilon(100 * check::eps<T>));
}

TEST_CASE("rank by a range that leaves much out: no values that are not known, and σ₁ all the same") {
  const auto A = check::matrix_of<double>([] {
    std::vector<double> sigma(600, 0.008);
    for (int i = 0; i < 3; ++i) sigma[static_cast<std::size_t>(i)] = 1;
    return check::with_spectrum(600, 600, sigma, 3);
  }());
  const auto few = lowrank::matrix_rank(A, {.tol = 0.7});
  CHECK(few.method == "randomized");
  CHECK(few.rank == 3);
  CHECK(few.certified);
  CHECK(few.singular_values.empty());
  CHECK(few.sigma_next >= 0.008);
  const auto none = lowrank::matrix_rank(A, {.tol = 40, .method = RankMethod::randomized});
  CHECK(none.rank == 0);
  CHECK(none.sigma_max > 0.98);
  CHECK(none.sigma_max < 1 + 1e-9);
}

TEST_CASE("svd of the smallest matrices: the bound holds for what LAPACK's rounding really is") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Dense A = check::gaussian(4, 4, seed);
    const auto svd = lowrank::truncated_svd(check::matrix_of<double>(A), {.rank = 4});
    using Exact = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;
    Exact E = A.cast<long double>();
    const Exact U = check::dense(svd.U).cast<long double>(), V = check::dense(svd.V).cast<long double>();
    for (Index i = 0; i < 4; ++i)
      E -= static_cast<long double>(svd.S[static_cast<std::size_t>(i)]) * U.col(i) * V.col(i).transpose();
    CHECK(check::spectral_norm(E.cast<double>()) <= svd.certificate.error_bound);
  }
}

TEST_CASE("svd of an operator: a result that misses a tolerance is kept where the exact SVD does not fit in memory") {
  if (!check::on_host()) return;
  const Matrix<double> l = check::matrix_of<double>(check::gaussian(300, 20, 1)).to(guarded_device());
  const Matrix<double> r = check::matrix_of<double>(check::gaussian(20, 280, 2)).to(guarded_device());
  const Matrix<double> zero = check::matrix_of<double>(Dense::Zero(300, 1)).to(guarded_device());
  const Matrix<double> row = check::matrix_of<double>(Dense::Zero(1, 280)).to(guarded_device());
  const lowrank::ProductOperator<double> product(l, r), nothing(zero, row);
  const lowrank::DifferenceOperator<double> A(product, nothing);  // Neither a norm nor a residual of its own.
  const LimitedMemory limited(4'000'000);
  const auto svd = lowrank::truncated_svd<double>(A, {.rtol = 1e-9});
  CHECK(svd.rank() == 20);
  CHECK_FALSE(svd.converged);
  CHECK(svd.method != "exact");
  CHECK(svd.reason.find("the exact SVD, which may do better, needs") != std::string::npos);
}
