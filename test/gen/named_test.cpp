#include <lowrank/gen/named.hpp>
#include <numbers>

#include "gen_check.hpp"

using gen_check::contains;
using gen_check::Index;
using gen_check::Matrix;
using gen_check::refusal;
using lowrank::named_matrix;

namespace {

std::vector<double> values(const Matrix<double>& A) { return lowrank::thin_svd<double>(A, lowrank::Vectors::none).S; }

Index count_above(const std::vector<double>& sigma, double rtol) {
  return std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > rtol * sigma.front(); });
}

}  // namespace

TEST_CASE("named: Kahan's matrix") {
  const auto sigma = values(named_matrix<double>("kahan", 20, 20));  // reference: NumPy
  CHECK(sigma[0] == doctest::Approx(3.1587003046136513).epsilon(1e-13));
  CHECK(sigma[18] == doctest::Approx(0.3288212223212258).epsilon(1e-13));
  CHECK(sigma[19] == doctest::Approx(0.0013732403983543783).epsilon(1e-11));
  // The gap that pivoted QR does not see: the last diagonal entry is s^89, the last singular value far below.
  const Matrix<double> K = named_matrix<double>("kahan", 90, 90);
  const auto full = values(K);
  CHECK(K(89, 89) == doctest::Approx(std::pow(std::sin(1.2), 89)));
  CHECK(full[88] == doctest::Approx(0.0023842325363781095).epsilon(1e-10));
  CHECK(full[89] < 1e-14);
}

TEST_CASE("named: Hilbert and Cauchy") {
  const Matrix<double> H = named_matrix<double>("hilbert", 8, 8);
  CHECK(H(0, 0) == 1);
  CHECK(H(2, 3) == 1.0 / 6);
  const auto sigma = values(H);
  CHECK(sigma[0] == doctest::Approx(1.6959389969219496).epsilon(1e-13));
  CHECK(sigma[7] == doctest::Approx(1.1115389793345086e-10).epsilon(1e-4));
  CHECK(count_above(values(named_matrix<double>("hilbert", 256, 256)), 1e-12) == 19);
  const auto cauchy = values(named_matrix<double>("cauchy", 8, 8));
  CHECK(cauchy[0] == doctest::Approx(1.2154187387265376).epsilon(1e-13));
  CHECK(cauchy[6] == doctest::Approx(3.7748050329557696e-09).epsilon(1e-5));
}

TEST_CASE_TEMPLATE("named: Lauchli's singular values are known", T, float, double) {
  constexpr Index n = 30;
  const double mu = std::is_same_v<T, float> ? 1e-5 : 1e-9;
  const Matrix<T> L = named_matrix<T>("lauchli", n + 1, n);
  CHECK(L(0, n - 1) == T(1));
  CHECK(L(n, n - 1) == static_cast<T>(mu));
  CHECK(mu < std::sqrt(static_cast<double>(std::numeric_limits<T>::epsilon())));
  const auto sigma = values(gen_check::widened(L));
  CHECK(sigma[0] == doctest::Approx(std::sqrt(n + mu * mu)).epsilon(1e-14));
  for (std::size_t i = 1; i < n; ++i) CHECK(sigma[i] == doctest::Approx(mu).epsilon(1e-5));
}

TEST_CASE("named: GKS is nearly singular though no entry is small") {
  const Matrix<double> G = named_matrix<double>("gks", 60, 60);
  CHECK(G(0, 0) == 1);
  CHECK(G(3, 3) == 0.5);
  CHECK(G(2, 3) == -0.5);
  CHECK(G(3, 2) == 0);
  const auto sigma = values(G);
  CHECK(sigma[0] == doctest::Approx(6.1238415732630305).epsilon(1e-13));
  CHECK(sigma[58] == doctest::Approx(0.1976093426596152).epsilon(1e-12));
  CHECK(sigma[59] < 1e-15);
}

TEST_CASE("named: prolate's eigenvalues gather at 0 and 1") {
  const auto sigma = values(named_matrix<double>("prolate", 128, 128));
  const auto within = std::count_if(sigma.begin(), sigma.end(), [](double s) { return s > 1e-8 && s < 1 - 1e-8; });
  CHECK(within == 20);  // reference: NumPy
  CHECK(count_above(sigma, 0.5) == 64);
  CHECK(sigma[0] == doctest::Approx(1).epsilon(1e-13));
  const Matrix<double> P = named_matrix<double>("prolate", 4, 6);
  CHECK(P(3, 3) == 0.5);
  CHECK(P(1, 2) == doctest::Approx(1 / std::numbers::pi).epsilon(1e-15));
  CHECK(P(2, 1) == P(1, 2));
  CHECK(std::abs(P(0, 2)) < 1e-16);
}

TEST_CASE("named: Vandermonde and the plain ones") {
  const Matrix<double> V = named_matrix<double>("vandermonde", 4, 3);
  CHECK(V(1, 0) == 1);
  CHECK(V(1, 1) == 0.5);
  CHECK(V(1, 2) == 0.25);
  CHECK(V(3, 2) == 1);
  CHECK(lowrank::frobenius_norm<double>(named_matrix<double>("identity", 9, 16)) == 3);
  CHECK(lowrank::frobenius_norm<double>(named_matrix<double>("ones", 9, 16)) == 12);
  CHECK(lowrank::frobenius_norm<double>(named_matrix<double>("zeros", 9, 16)) == 0);
}

TEST_CASE_TEMPLATE("named: every matrix, in blocks of either order and rounded from double", T, float, double) {
  for (const auto& info : lowrank::named_matrices()) {
    CAPTURE(info.name);
    CHECK(info.description.size() > 10);
    const Matrix<T> whole = named_matrix<T>(info.name, 11, 7);
    CHECK_FALSE(lowrank::first_nonfinite<T>(whole).has_value());
    Matrix<T> block(4, 7, lowrank::Order::row_major);
    lowrank::fill_named<T>(info.name, 11, 7, 5, block.view());
    bool equal = true;
    const Matrix<double> wide = named_matrix<double>(info.name, 11, 7);
    for (Index i = 0; i < 4; ++i)
      for (Index j = 0; j < 7; ++j) {
        equal = equal && block(i, j) == whole(5 + i, j);
        if (info.name != "lauchli") equal = equal && block(i, j) == static_cast<T>(wide(5 + i, j));
      }
    CHECK(equal);
    CHECK(named_matrix<T>(info.name, 0, 5).cols() == 5);
    CHECK(named_matrix<T>(info.name, 5, 0).rows() == 5);
  }
}

TEST_CASE("named: wrong names, shapes and blocks are refused") {
  const std::string said = refusal([] { named_matrix<double>("kahn", 3, 3); });
  CHECK(contains(said, "'kahn'"));
  CHECK(contains(said, "kahan, hilbert"));
  CHECK(contains(refusal([] { named_matrix<double>("kahan", -3, 3); }), "-3x3"));
  Matrix<double> block(4, 3);
  CHECK(contains(refusal([&] { lowrank::fill_named<double>("ones", 5, 3, 2, block.view()); }), "4x3 block at row 2"));
  CHECK(contains(refusal([&] { lowrank::fill_named<double>("ones", 9, 4, 2, block.view()); }), "9x4"));
}
