#pragma once

#include <lowrank/core/view.hpp>
#include <optional>

namespace lowrank::bfloat16 {

/// What processors have for bfloat16: an instruction that multiplies pairs in vectors (AVX512-BF16), or a matrix unit
/// for tiles (AMX-BF16).
enum class Unit { pairs, tiles };

/// Whether the processor has this unit, and it is not switched off, by `enable(false)` or by LOWRANK_BFLOAT16=0 in the
/// environment; tiles also by panel_amx.hpp's switches.
bool has(Unit);
/// The unit, if any, that multiplies faster than floats are multiplied: tiles, as quick as A can be read; pairs on
/// AMD's processors (from Zen 4 on), at twice the rate. Intel's have the instruction, but no more multipliers for it
/// than for floats.
std::optional<Unit> faster_unit();
/// For tests and comparisons: not to be called while products run.
void enable(bool on);

/// C = A·X, the entries of A and X rounded to bfloat16 (8 bits, to nearest) on their way, the sums in float. Entries
/// must lie within float's range; subnormal ones count as zero. No copy of A is made: a block at a time is rounded into
/// pairs along the depth, which are multiplied and added. Every entry of C is summed by one thread in an
/// order that depends on the shape alone. Needs has(unit).
void multiply(Unit unit, MatrixView<const double> A, MatrixView<const float> X, MatrixView<float> C);

}  // namespace lowrank::bfloat16
