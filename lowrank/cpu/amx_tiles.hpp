#pragma once

#include <lowrank/core/matrix.hpp>
#include <vector>

/// Matrices as the tiles of the matrix unit (AMX-BF16): every entry rounded to one bfloat16, or cut into the sum of
/// three, h + m + l, each a tile (a plane) of its own.

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#define LOWRANK_HAS_AMX 1
/// For functions that run only where panel_amx.hpp's available() says so.
#define LOWRANK_AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")))

namespace lowrank::amx {

/// A tile: 16 lines of 16 pairs of bfloat16 (32 entries of the depth), or 16×16 floats.
constexpr Index kLines = 16, kStepDepth = 32, kTileBytes = 1024, kTileFloats = 256;
/// The tiles of one step of the depth, plane behind plane.
constexpr Index step_bytes(int planes) { return planes * kTileBytes; }
/// Groups of 16 rows of A that meet a kernel together.
constexpr Index kGroups = 4;
/// Columns of X at a time.
constexpr Index kColumns = 512;

/// All tiles of this thread to their full size; and back to none, so that the system need not save them.
void configure_tiles();
void release_tiles();

/// Rows of A, in either order, into tiles, `groups` groups of 16, missing rows as zeros: group g and step s of `steps`
/// at `to` + (g·steps + s)·step_bytes(P). By rows, line i of a tile holds row i, its pairs the entries p and p + 16 of
/// the step; by columns, line p holds columns p and p + 16, its pairs 16 rows. Entries of double are rounded to float
/// first. False, with three planes, where a row's largest entry is out of their range, see panel_amx.hpp.
template <int P, Real S>
bool convert(MatrixView<const S> A, Index groups, Index steps, char* to);

/// A panel: columns cut into tiles, group h, step s at (s·groups + h)·step_bytes(planes), those for three planes scaled
/// to a largest entry in [1, 2). Of the form that goes with A's: A by rows stands left of X, by columns right of it.
struct Panel {
  int planes;
  Index steps, groups;
  std::vector<float> power;    // Column j is multiplied by 2^power[j],
  std::vector<float> inverse;  // and results by inverse[j].
  Matrix<float> tiles;
  char* at(Index h, Index s) { return reinterpret_cast<char*>(tiles.data()) + (s * groups + h) * step_bytes(planes); }
};

/// The largest |x| of each column, or nothing if X is not finite.
std::vector<float> largest_entries(MatrixView<const float> X);
/// `largest` of each column, for three planes.
template <int P>
Panel packed_panel(MatrixView<const float> X, const float* largest, bool by_columns);

}  // namespace lowrank::amx

#endif
