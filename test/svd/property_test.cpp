#include <lowrank/core/sanitizers.hpp>

#include "svd_check.hpp"

using check::Family;
using check::methods;
using check::Reference;
using lowrank::Index;
using lowrank::SvdMethod;
using lowrank::Truncation;

namespace {

#if defined(LOWRANK_ADDRESS_SANITIZER)
constexpr int stride = 4;  // every fourth combination: instrumented code is slow
#else
constexpr int stride = 1;
#endif

const std::vector<Truncation> wishes{{.rank = 5},    {.rank = 20},   {.rank = 50},   {.rtol = 0.3},  {.rtol = 1e-1},
                                     {.rtol = 1e-3}, {.rtol = 1e-6}, {.energy = .9}, {.energy = .99}};

/// Every method for `count` of the wishes, others for each method and matrix, so that all come round.
template <class T>
void all_methods(const Family& family, Index rows, Index cols, int& turn, int count) {
  const auto matrix = check::family_matrix<T>(family, rows, cols);
  const Reference<T> ref(matrix);
  const std::string label = family.label;
  CAPTURE(label);
  CAPTURE(rows);
  CAPTURE(cols);
  for (const SvdMethod method : methods)
    for (int i = 0; i < count; ++i) {
      const Truncation& wish = wishes[static_cast<std::size_t>(turn) % wishes.size()];
      turn += 2;  // coprime to the number of wishes
      if (turn / 2 % stride != 0) continue;
      CAPTURE(static_cast<int>(method));
      CAPTURE(wish.rank);
      CAPTURE(wish.rtol);
      CAPTURE(wish.energy);
      lowrank::SvdOptions options;
      options.method = method;
      check::check_svd<T>(ref, wish, lowrank::truncated_svd(matrix, wish, options));
    }
}

template <class T>
void families(const std::vector<Family>& all, Index rows, Index cols, int count) {
  int turn = std::is_same_v<T, float> ? 0 : 3;
  for (const Family& family : all) all_methods<T>(family, rows, cols, turn, count);
}

}  // namespace

TEST_CASE_TEMPLATE("svd families: exact spectra, small, every wish and method", T, float, double) {
  families<T>(check::spectrum_families(), 150, 100, 5);
}

TEST_CASE_TEMPLATE("svd families: exact spectra, tall", T, float, double) {
  families<T>(check::spectrum_families(), 400, 240, 1);
}

TEST_CASE_TEMPLATE("svd families: exact spectra, wide", T, float, double) {
  families<T>(check::spectrum_families(), 210, 420, 1);
}

TEST_CASE_TEMPLATE("svd families: exact spectra, square", T, float, double) {
  families<T>(check::spectrum_families(), 260, 260, 1);
}

TEST_CASE_TEMPLATE("svd families: named matrices, square", T, float, double) {
  for (const Family& family : check::named_families()) {
    const Index n = std::string(family.name) == "kahan" ? 90 : 240;
    families<T>({family}, n, n, 2);
  }
}

TEST_CASE_TEMPLATE("svd families: named matrices, tall and wide", T, float, double) {
  for (const Family& family : check::named_families()) {
    families<T>({family}, 200, 110, 1);
    families<T>({family}, 110, 200, 1);
  }
}

TEST_CASE_TEMPLATE("svd families: large enough that automatic does not take the exact method", T, float, double) {
  for (const char* spectrum : {"poly:1", "exp:0.1", "step:10,1e-10"}) {
    const auto matrix = check::family_matrix<T>({spectrum, spectrum}, 1000, 800);
    const Reference<T> ref(matrix);
    CAPTURE(spectrum);
    for (const Truncation& wish : {Truncation{.rank = 10}, Truncation{.rtol = 0.1}}) {
      if (std::string(spectrum) == "poly:1" && wish.rtol > 0) continue;  // wants some hundred columns
      const auto svd = lowrank::truncated_svd(matrix, wish);
      CAPTURE(svd.reason);
      CHECK(svd.method != "exact");
      check::check_svd<T>(ref, wish, svd);
    }
  }
}

TEST_CASE_TEMPLATE("svd: clustered and flat spectra have their leading subspace right where it is defined", T, float,
                   double) {
  // Ten values 1, then 1e-3 and less: the leading ten span a subspace, no single vector of which is defined.
  std::vector<double> sigma(10, 1.0);
  for (int i = 0; i < 60; ++i) sigma.push_back(1e-3 * std::pow(0.9, i));
  const check::Dense U = check::haar(200, 70, 1), V = check::haar(150, 70, 2);
  check::Laid<T> A(check::diagonal_product(U, sigma, V), check::Order::col_major);
  for (const SvdMethod method : methods) {
    lowrank::SvdOptions options;
    options.method = method;
    const auto svd = lowrank::truncated_svd<T>(lowrank::DenseOperator<T>(A), {.rank = 10}, options);
    // An error excess of 1 % leaves angles of a fraction of the gap.
    CHECK(check::subspace_distance(check::dense(svd.U), U.leftCols(10)) < 1e-3 + 100 * check::eps<T>);
    CHECK(check::subspace_distance(check::dense(svd.V), V.leftCols(10)) < 1e-3 + 100 * check::eps<T>);
    for (const T s : svd.S) CHECK(check::near(s, 1, 1e-5));
  }
}
