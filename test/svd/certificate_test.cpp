#include <lowrank/op/compose.hpp>

#include "svd_check.hpp"

using check::Dense;
using check::Laid;
using check::Reference;
using lowrank::certify;
using lowrank::Index;
using lowrank::Matrix;

namespace {

/// A matrix and its exact leading triplets.
template <class T>
struct Cut {
  Cut(const char* spectrum, Index rank)
      : A(check::family_matrix<T>({"", spectrum}, 120, 80)), op(A), all(lowrank::thin_svd<T>(A)), ref(A) {
    U = Matrix<T>::copy_of(all.U.left_cols(rank));
    V = Matrix<T>::copy_of(all.V.left_cols(rank));
    S.assign(all.S.begin(), all.S.begin() + rank);
  }
  Dense error() const { return ref.A - check::diagonal_product(check::dense(U), S, check::dense(V)); }
  lowrank::Certificate certificate(lowrank::CertificateOptions options = {}) const {
    return certify<T>(op, U, S, V, ref.norm, std::nullopt, options);
  }

  Matrix<T> A;
  lowrank::DenseOperator<T> op;
  lowrank::ThinSvd<T> all;
  Reference<T> ref;
  Matrix<T> U, V;
  std::vector<T> S;
};

}  // namespace

TEST_CASE_TEMPLATE("certificate: the error is measured where ‖A‖² - ‖S‖² cancels", T, float, double) {
  for (const Index rank : {1, 5, 15, 30}) {
    const Cut<T> cut("exp:0.3", rank);
    const auto c = cut.certificate();
    const double error = cut.error().norm() / cut.ref.norm;
    CAPTURE(rank);
    CHECK(c.relative_error >= error * (1 - 1e-3) - 2 * check::eps<T>);
    CHECK(c.relative_error <= error * 1.1 + 20 * check::eps<T>);
    if (error < std::sqrt(check::eps<T>) / 10) CHECK(c.relative_error_method == "residual");
    CHECK(c.error_bound >= check::spectral_norm(cut.error()) - cut.ref.rounding());
    CHECK(c.error_bound_probability >= 1 - 1.0001e-10);
  }
}

TEST_CASE_TEMPLATE("certificate: wrong factors are found out", T, float, double) {
  {
    Cut<T> cut("exp:0.1", 10);
    check::set_entry<T>(cut.U, 3, 2, check::entry<T>(cut.U, 3, 2) + T(0.01));
    const auto c = cut.certificate();
    CHECK(c.orthogonality_u > 1e-5);
    CHECK(c.error_bound >= check::spectral_norm(cut.error()) * (1 - 1e-4));
  }
  {
    Cut<T> cut("exp:0.1", 10);
    lowrank::scale_columns<T>(cut.V.view().col(0), {-1});  // a wrong sign
    const auto c = cut.certificate();
    CHECK(c.triplet_residual > 1.9);
    CHECK(c.error_bound > 1.9);
  }
  {
    Cut<T> cut("exp:0.1", 10);
    cut.S[0] *= T(1.1);
    const auto c = cut.certificate();
    CHECK(c.triplet_residual > 0.09);
    CHECK(c.error_bound >= check::spectral_norm(cut.error()) * (1 - 1e-4));
  }
}

TEST_CASE_TEMPLATE("certificate: an operator whose norm is not known is probed, and said so", T, float, double) {
  const Cut<T> cut("exp:0.05", 10);
  Laid<T> L(120, 1), R(1, 80);
  const lowrank::ProductOperator<T> nothing(L, R);
  const lowrank::DifferenceOperator<T> unknown(cut.op, nothing);
  const auto c = certify<T>(unknown, cut.U, cut.S, cut.V, std::nullopt, std::nullopt);
  CHECK(c.relative_error_method == "probes");
  CHECK(c.relative_error >= cut.error().norm() / cut.ref.norm * 0.999);
  CHECK(c.relative_error <= 30 * cut.error().norm() / cut.ref.norm);
  CHECK(c.error_bound >= check::spectral_norm(cut.error()) * 0.999);
}

TEST_CASE_TEMPLATE("certificate: σ of an exact SVD is the bound", T, float, double) {
  const Cut<T> cut("poly:1", 10);
  const double next = static_cast<double>(cut.all.S[10]);
  const lowrank::ExactTail tail{next, cut.error().norm()};
  const auto c = certify<T>(cut.op, cut.U, cut.S, cut.V, cut.ref.norm, tail);
  CHECK(c.error_bound >= check::spectral_norm(cut.error()) - cut.ref.rounding());
  CHECK(c.error_bound <= 1.001 * next + 2 * cut.ref.rounding());
}

TEST_CASE_TEMPLATE("certificate: the bound holds for every seed, and power steps tighten it", T, float, double) {
  const Cut<T> cut("poly:0.5", 10);
  const double error = check::spectral_norm(cut.error());
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    lowrank::CertificateOptions options;
    options.seed = seed;
    for (const Index power : {0, 1, 3}) {
      options.power = power;
      const auto c = cut.certificate(options);
      CHECK(c.error_bound >= error * (1 - 1e-4));
      // About (failure^(-1/probes)·√n)^(1/(2q+1)) too large at most, and never above ‖E‖_F.
      const double slack = std::pow(10 * std::sqrt(80.0), 1.0 / (2.0 * static_cast<double>(power) + 1));
      CHECK(c.error_bound <= 2 * slack * error);
      CHECK(c.error_bound <= cut.error().norm() * (1 + 1e-3));
    }
  }
}

TEST_CASE_TEMPLATE("certificate: nothing kept, and the zero matrix", T, float, double) {
  const Cut<T> cut("exp:0.1", 0);
  const auto c = cut.certificate();
  CHECK(check::near(c.relative_error, 1, 1e-4));
  CHECK(c.error_bound >= cut.ref.sigma[0] * (1 - 1e-5));
  Laid<T> zero(20, 10);
  const lowrank::DenseOperator<T> op(zero);
  const auto none =
      certify<T>(op, Matrix<T>(20, 0, check::device()), {}, Matrix<T>(10, 0, check::device()), 0.0, std::nullopt);
  CHECK(none.relative_error == 0);
  CHECK(none.error_bound == 0);
}

TEST_CASE_TEMPLATE("certificate: from a residual block as from A·V itself", T, float, double) {
  // V = Z·C and U·S = W·C with an orthogonal C: A·V - U·S = (A·Z - W)·C.
  const auto both = [](const Cut<T>& cut) {
    const Index k = cut.V.cols();
    const Dense C = check::haar(k, k, 3);
    const Dense US = check::diagonal_product(check::dense(cut.U), cut.S, Dense::Identity(k, k));
    const Dense Z = check::dense(cut.V) * C.transpose(), W = US * C.transpose();
    const auto there = [](const Dense& X) {
      return lowrank::from_double<T>(lowrank::MatrixView<const double>(X), check::device());
    };
    const lowrank::ResidualBlock<T> residual{there(Z), there(W), there(C)};
    return std::pair(cut.certificate(),
                     certify<T>(cut.op, cut.U, cut.S, cut.V, cut.ref.norm, std::nullopt, {}, residual));
  };
  for (const char* spectrum : {"poly:0.5", "exp:0.1", "exp:0.5"}) {
    CAPTURE(spectrum);
    for (const T factor : {T(1), T(1.1), T(-1)}) {  // of one value, which shows in the residual
      Cut<T> cut(spectrum, 12);
      lowrank::scale_columns<T>(cut.U.view().col(0), {factor < 0 ? -1.0 : 1.0});
      cut.S[0] *= std::abs(factor);
      const auto [direct, block] = both(cut);
      const double rounding = 64 * check::eps<T> * cut.ref.norm;
      CHECK(block.triplet_residual >= direct.triplet_residual);
      CHECK(block.triplet_residual <= direct.triplet_residual + rounding);
      CHECK(check::near(block.relative_error, direct.relative_error, 1e-2));
      CHECK(block.error_bound == doctest::Approx(direct.error_bound).epsilon(1e-3));
    }
  }
}
