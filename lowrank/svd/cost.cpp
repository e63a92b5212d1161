#include <algorithm>
#include <lowrank/svd/cost.hpp>

namespace lowrank {
namespace {

double cube(double x) { return x * x * x; }

/// SVDs of small cores in double, on one thread: singular values alone, and with vectors.
double core_values(double n) { return 70 * cube(n); }
double core_svd(double n) { return 140 * cube(n); }

/// Orthonormalizing k columns of length m: Gram matrices in double, triangular solves.
double orthonormalizing(double m, double k) { return 24 * m * k * k; }

/// LAPACK's SVD comes to its speed slowly.
double exact_svd(double larger, double smaller) {
  return (4 * larger * smaller * smaller + 14 * cube(smaller)) * (1 + 650 / smaller);
}

}  // namespace

template <Real T>
Cost expected_cost(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const double m = static_cast<double>(A.rows()), n = static_cast<double>(A.cols()), mean = (m + n) / 2;
  const Index columns = panel_width(input, limit), block_columns = krylov_block(input, limit);
  const double width = static_cast<double>(columns), block = static_cast<double>(block_columns);
  constexpr double in_double = std::is_same_v<T, double> ? 2 : 1;
  const bool dense = A.entries().has_value();
  // Products with other operators wait for memory.
  const double in_full = in_double * A.flops_per_column() * (dense ? 1 : 8);
  const bool in_float = input.options.rounded_passes && A.rounded(Rounding::to_float) != nullptr;
  const double product = in_float ? in_full / in_double : in_full;

  // With blocks as wide as the panel both take as many half-steps.
  const bool wide_blocks = block_columns == columns;
  const double subspace_steps = wide_blocks ? 6 : 7, subspace_overhead = 5e7;
  const double step = product * width + orthonormalizing(mean, width) + core_values(width) + subspace_overhead;
  const double randomized = subspace_steps * step + core_svd(width) + in_full * width;

  const double krylov_overhead = 1e8;
  // From both sides in turn, until the basis holds the wish, and some more for it to settle.
  const Index krylov_steps =
      wide_blocks ? 6 : std::max<Index>(9, 2 * ((columns + block_columns - 1) / block_columns) + 4);
  double krylov = 0;
  for (Index i = 1; i <= krylov_steps; ++i) {
    const double basis = block * static_cast<double>((i + 1) / 2), other = block * static_cast<double>(i / 2);
    krylov += product * block + 8 * mean * other * block + orthonormalizing(mean, block) + krylov_overhead;
    if (basis >= static_cast<double>(input.wish.rank)) krylov += core_values(basis);
    if (i == krylov_steps) krylov += core_svd(basis) + in_full * block;
  }
  return {in_double * exact_svd(std::max(m, n), std::min(m, n)), randomized, krylov};
}

template Cost expected_cost(const LinearOperator<float>&, const MethodInput&, Index);
template Cost expected_cost(const LinearOperator<double>&, const MethodInput&, Index);

}  // namespace lowrank
