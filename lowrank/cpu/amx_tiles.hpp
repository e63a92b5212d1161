#pragma once

#include <lowrank/core/matrix.hpp>
#include <vector>

/// Floats cut into three bfloat16 and laid out as the tiles of the matrix unit (AMX-BF16).

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#define LOWRANK_HAS_AMX 1
/// For functions that run only where panel_amx.hpp's available() says so.
#define LOWRANK_AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")))

namespace lowrank::amx {

/// A tile: 16 lines of 16 pairs of bfloat16 (32 entries of the depth), or 16×16 floats.
constexpr Index kLines = 16, kStepDepth = 32, kTileBytes = 1024, kTileFloats = 256;
/// The tiles h, m and l of one step of the depth lie behind each other.
constexpr Index kStepBytes = 3 * kTileBytes;
/// Depth over which a sum stays in a tile before it is added to the result. Longer ones lose accuracy.
constexpr Index kDepth = 512, kSteps = kDepth / kStepDepth;
constexpr Index kColumns = 512;
/// Groups of 16 rows of A that meet the kernel together.
constexpr Index kGroups = 4;

/// A block of rows by rows into tiles, `padded` rows of them, group g and step s at `to` + (g·kSteps + s)·kStepBytes:
/// line i of a tile holds row i, its pairs the entries p and p + 16 of the step. False where an entry is out of range.
bool convert_rows(MatrixView<const float> A, Index padded, char* to);
/// The same by columns: line p of a tile holds columns p and p + 16 of the step, its pairs 16 rows.
bool convert_columns(MatrixView<const float> A, Index padded, char* to);

/// A panel: columns scaled to a largest entry in [1, 2) and cut into tiles, group g, step s at
/// (g·steps + s)·kStepBytes. Of the form that goes with A's: A by rows stands left of X, by columns right of it.
struct Panel {
  Index steps, groups;
  std::vector<float> power;    // Column j is multiplied by 2^power[j],
  std::vector<float> inverse;  // and results by inverse[j].
  Matrix<float> tiles;
  char* at(Index g, Index s) { return reinterpret_cast<char*>(tiles.data()) + (g * steps + s) * kStepBytes; }
};

/// The largest |x| of each column, or nothing if X is not finite.
std::vector<float> largest_entries(MatrixView<const float> X);
Panel packed_panel(MatrixView<const float> X, const float* largest, bool by_columns);

}  // namespace lowrank::amx

#endif
