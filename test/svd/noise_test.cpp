#include <doctest/doctest.h>

#include <lowrank/gen/generate.hpp>
#include <lowrank/svd/svd.hpp>
#include <vector>

using namespace lowrank;

// A sparse matrix of ten million entries had one singular value of 382 in a tail that outweighed it a hundredfold: its
// loss was within 1 % of the Frobenius error, and 127 was returned for it.
TEST_CASE("svd: a leading singular value is found in a matrix that is mostly tail") {
  std::vector<double> sigma(500, 1.0);
  sigma[0] = 4;
  sigma[1] = 2;
  const Matrix<double> A = generate<double>({.rows = 600, .cols = 500, .sigma = sigma, .seed = 3});
  for (const SvdMethod method : {SvdMethod::automatic, SvdMethod::randomized, SvdMethod::krylov}) {
    const Svd<double> svd = truncated_svd(A, {.rank = 5}, {.method = method});
    CHECK(svd.converged);
    CHECK(svd.S[0] >= 0.995 * 4);
    CHECK(svd.S[0] <= 4 * (1 + 1e-12));
    CHECK(svd.S[1] >= 0.97 * 2);
    for (std::size_t i = 2; i < 5; ++i) CHECK(svd.S[i] <= 1 + 1e-12);
  }
}
