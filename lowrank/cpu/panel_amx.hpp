#pragma once

#include <lowrank/core/view.hpp>
#include <vector>

namespace lowrank::amx {

/// Rows first .. first + count - 1.
struct Rows {
  Index first, count;
};

/// Whether the processor has AMX-BF16 and AVX-512, the system lets this process use the tiles (asked once), and they
/// are not switched off, by `enable(false)` or by LOWRANK_AMX=0 in the environment.
bool available();
/// For tests and comparisons: not to be called while products run.
void enable(bool on);

/// C = alpha·A·X + beta·C in the matrix unit, to the accuracy of float sums: every entry of A and X is cut into three
/// bfloat16, x = h + m + l, and the products hh, hm, mh, mm, hl and lh are summed (G. Henry, P. T. P. Tang, A.
/// Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", 2019). A is
/// read once for each 512 columns of X. Every entry of C is summed by one thread in an order that depends on the shape
/// alone.
///
/// The unit knows no subnormal numbers, so m and l of tiny entries would be lost, and sums of parts do not keep Inf and
/// NaN. Columns of X are scaled by powers of two. Returned are the rows of C left as they were, for the caller to do in
/// another way: those of row blocks where some row of A has in up to 256 entries a largest one outside [2^-90, 2^90]
/// (other than 0); all rows if X is not finite or A has no columns. Needs available(). Entries of a double A are
/// rounded to float on their way.
template <Real S>
std::vector<Rows> multiply(float alpha, MatrixView<const S> A, MatrixView<const float> X, float beta,
                           MatrixView<float> C);
/// C = A·X, the entries of A and X rounded to bfloat16, see panel_bfloat16.hpp. Needs available().
void multiply_rounded(MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C);

/// Whether `multiply` is the fastest way for this shape (see bench/README.md for the measured crossover). false where
/// it is not available.
template <Real S>
bool suits(MatrixView<const S> A, MatrixView<const float> X);

}  // namespace lowrank::amx
