#pragma once

#include <lowrank/core/view.hpp>

namespace lowrank::bfloat16 {

/// Whether the processor multiplies pairs of bfloat16 (AVX512-BF16) at twice the rate of floats, and that is not
/// switched off, by `enable(false)` or by LOWRANK_BFLOAT16=0 in the environment. AMD's do from Zen 4 on; Intel's have
/// the instructions, but no more multipliers for them than for floats.
bool available();
/// For tests and comparisons: not to be called while products run.
void enable(bool on);

/// C = A·X, the entries of A and X rounded to bfloat16 (8 bits, to nearest) on their way, the sums in float. Entries
/// must lie within float's range; subnormal ones count as zero. No copy of A is made: a block at a time is rounded into
/// pairs along the depth, which the instruction multiplies and adds. Every entry of C is summed by one thread in an
/// order that depends on the shape alone. Needs available().
void multiply(MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C);

}  // namespace lowrank::bfloat16
