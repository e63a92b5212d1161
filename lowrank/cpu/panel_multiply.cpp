#include <hwy/base.h>

#include <algorithm>
#include <atomic>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/panel_columns.hpp>
#include <lowrank/cpu/panel_kernel.hpp>
#include <lowrank/cpu/panel_multiply.hpp>
#include <lowrank/cpu/panel_pack.hpp>
#include <lowrank/cpu/panel_runs.hpp>
#include <lowrank/cpu/panel_tile.hpp>
#include <lowrank/cpu/round_up.hpp>
#include <lowrank/cpu/vendor.hpp>

namespace lowrank {
namespace {

using panel::PackedPanel;
using panel::second_level_cache;

template <Real T>
constexpr Index kLineOf = 64 / sizeof(T);

/// A strip of A by rows as entries of E: where it lies if it is whole, else a copy with zeros below; and a copy, too,
/// where S is to be rounded to E.
template <Real S, Real E>
class RowStrip {
 public:
  RowStrip(Index height, Index depth)
      : height_(height), pitch_(round_up(depth, height) + kLineOf<E>), copy_(checked_product(height_, pitch_), 1) {}

  void load(MatrixView<const S> A) {
    if constexpr (std::is_same_v<S, E>)
      if (A.rows() == height_) {
        data = A.data();
        row_step = A.ld();
        return;
      }
    // Strips their own height apart lie without gaps.
    for (Index i = 0; i < A.rows(); ++i)
      panel::copy_in_strips(A.data() + i * A.ld(), A.cols(), copy_.data() + i * pitch_, height_);
    for (Index i = A.rows(); i < height_; ++i) std::fill_n(copy_.data() + i * pitch_, A.cols(), E(0));
    data = copy_.data();
    row_step = pitch_;
  }

  const E* data = nullptr;
  Index row_step = 0;

 private:
  Index height_, pitch_;
  Matrix<E> copy_;
};

/// Columns of A that are copied together, in column order: many short ones, so that those of A are read in long runs.
constexpr Index kDepth = 48;

/// A block of A by columns, copied into strips as the kernels take them, whatever A's leading dimension is (powers of
/// two would fight for the same cache lines). That is done in chunks of a few columns between the products with the
/// block before, and their memory is asked for still earlier, so that reading overlaps computing.
template <Real S, Real T>
class ColumnBlock {
 public:
  ColumnBlock(Index rows, Index strip) : strip_(strip), copy_(checked_product(rows / strip, pitch()), 1) {}

  /// A is to be loaded within `steps` steps.
  void begin(MatrixView<const S> A, Index steps) {
    A_ = A;
    lines_of_column_ = (A.rows() * static_cast<Index>(sizeof(S)) + 63) / 64;
    steps_of_chunk_ = std::max<Index>(steps / ((A.cols() + kChunk - 1) / kChunk), 1);
    lines_of_step_ = (lines_of_column_ * kChunk + steps_of_chunk_ - 1) / steps_of_chunk_;
    fetched_column_ = fetched_line_ = loaded_ = steps_ = 0;
  }
  /// A few lines are asked for; now and then a chunk is loaded.
  void step() {
    fetch(lines_of_step_);
    if (++steps_ % steps_of_chunk_ == 0) load(kChunk);
  }
  void finish() { load(A_.cols()); }

  Index rows() const { return round_up(A_.rows(), strip_); }
  Index depth() const { return A_.cols(); }
  const T* strip_at(Index i) const { return copy_.data() + i / strip_ * pitch(); }

 private:
  /// Columns that are copied together.
  static constexpr Index kChunk = 16;
  /// Strips lie a cache line more apart, so that it is no power of two.
  Index pitch() const { return strip_ * kDepth + kLineOf<T>; }

  void fetch(Index count) {
    for (; count > 0 && fetched_column_ < A_.cols(); --count) {
      // Into the second-level cache: the first one holds what is being computed with.
      __builtin_prefetch(reinterpret_cast<const char*>(A_.data() + fetched_column_ * A_.ld()) + fetched_line_ * 64, 0,
                         2);
      if (++fetched_line_ == lines_of_column_) fetched_line_ = 0, ++fetched_column_;
    }
  }
  void load(Index count) {
    const Index end = std::min(loaded_ + count, A_.cols());
    for (; loaded_ < end; ++loaded_)
      panel::copy_in_strips(A_.data() + loaded_ * A_.ld(), A_.rows(), copy_.data() + loaded_ * strip_, pitch());
  }

  Index strip_;
  Matrix<T> copy_;
  MatrixView<const S> A_;
  Index loaded_ = 0, fetched_column_ = 0, fetched_line_ = 0;
  Index steps_ = 0, steps_of_chunk_ = 1, lines_of_step_ = 0, lines_of_column_ = 0;
};

/// Rows of C that are computed at a time: at most `most`, a multiple of the strip, and so many blocks that the threads
/// end together: four for each, where these have `enough` rows.
Index block_rows(Index m, Index most, Index enough, Index strip) {
  const Index team = threads(), least = round_up((m + most - 1) / most, team);
  const Index blocks = m >= 4 * team * enough ? std::max(least, 4 * team) : least;
  return round_up((m + blocks - 1) / blocks, strip);
}

/// E is what the kernels see of A.
template <Real E, Real S, Real T>
void multiply_by_rows(T alpha, MatrixView<const S> A, const PackedPanel<T>& X, Index strip, T beta, MatrixView<T> C) {
  const Index m = A.rows(), n = A.cols(), width = X.columns.width;
  // That many rows of X stay in the second-level cache, and are read for so many rows of A that they cost little.
  // Longer runs are read no faster, and would make longer sums.
  const Index depth = std::clamp<Index>(second_level_cache() / 2 / (width * static_cast<Index>(sizeof(T))), 128, 1024);
  const Index height = block_rows(m, std::clamp<Index>(4 * width, 96, 480), 96, strip);
  // A narrow panel stays there whole: then rows of A are read in one run.
  const bool whole = n * width * static_cast<Index>(sizeof(T)) <= second_level_cache() / 2;
  struct Piece {
    Index row, column;
  };
  const auto following = [&](const Piece& p, Index height_here) -> Piece {
    if (whole) return p.column + depth < n ? Piece{p.row, p.column + depth} : Piece{p.row + strip, 0};
    return p.row + strip < height_here ? Piece{p.row + strip, p.column} : Piece{0, p.column + depth};
  };
#pragma omp parallel
  {
    RowStrip<S, E> rows(strip, std::min(depth, n));
    Matrix<T> sums(height * width, 1);
#pragma omp for schedule(dynamic)
    for (Index i0 = 0; i0 < m; i0 += height) {
      const Index here = std::min(height, m - i0);
      std::fill_n(sums.data(), sums.size(), T(0));
      for (Piece p{}, next; p.row < here && p.column < n; p = next) {
        next = following(p, here);
        const Index columns = std::min(depth, n - p.column);
        rows.load(A.block(i0 + p.row, p.column, std::min(strip, here - p.row), columns));
        const panel::Ahead ahead = panel::rows_ahead(A, i0 + next.row, next.column, strip);
        for (Index g = 0; g < X.columns.groups; ++g)
          X.multiply(g, rows.data, rows.row_step, 1, p.column, columns, sums.data() + p.row * width,
                     ahead.share(g, X.columns.groups));
      }
      const MatrixView<const T> tile(sums.data(), here, C.cols(), width, Order::row_major);
      panel::store_tile<T>(alpha, tile, beta, C.middle_rows(i0, here));
    }
  }
}

template <Real S, Real T>
void multiply_by_columns(T alpha, MatrixView<const S> A, const PackedPanel<T>& X, Index strip, T beta,
                         MatrixView<T> C) {
  const Index m = A.rows(), n = A.cols(), width = X.columns.width, groups = X.columns.groups;
  // The sums of a block, the block and the next one fit the second-level cache.
  const Index per_row = (2 * kDepth + width) * static_cast<Index>(sizeof(T));
  const Index most = std::clamp<Index>(second_level_cache() * 3 / 4 / per_row, 48, 1024);
  // Columns of A are read in runs of so many rows: of 1000 rows in eight blocks, products take a third longer.
  constexpr Index run = 256;
  const Index height = block_rows(m, most, run, strip);
  const Index blocks = (m + height - 1) / height;
  std::atomic<Index> counter{0};
#pragma omp parallel
  {
    ColumnBlock<S, T> first(height, strip), second(height, strip);
    ColumnBlock<S, T>*present = &first, *coming = &second;
    Matrix<T> sums(height * width, 1);
    const auto cut = [&](Index b, Index l) {
      return A.block(b * height, l, std::min(height, m - b * height), std::min(kDepth, n - l));
    };
    Index b = counter++;
    if (b < blocks && n > 0) {
      present->begin(cut(b, 0), 1);
      present->finish();
    }
    for (Index next = 0; b < blocks; b = next) {
      next = counter++;
      std::fill_n(sums.data(), sums.size(), T(0));
      for (Index l0 = 0; l0 < n; l0 += kDepth) {
        const bool more = l0 + kDepth < n || next < blocks;
        if (more) coming->begin(l0 + kDepth < n ? cut(b, l0 + kDepth) : cut(next, 0), present->rows() / strip * groups);
        for (Index g = 0; g < groups; ++g)
          for (Index i = 0; i < present->rows(); i += strip) {
            if (more) coming->step();
            X.multiply(g, present->strip_at(i), 1, strip, l0, present->depth(), sums.data() + i * width);
          }
        if (more) coming->finish();
        std::swap(present, coming);
      }
      const MatrixView<const T> tile(sums.data(), std::min(height, m - b * height), C.cols(), width, Order::row_major);
      panel::store_tile<T>(alpha, tile, beta, C.middle_rows(b * height, tile.rows()));
    }
  }
}

}  // namespace

template <Real S, Real T>
void panel_multiply(T alpha, MatrixView<const S> A, MatrixView<const T> X, T beta, MatrixView<T> C) {
  if (C.empty()) return;
  const bool by_rows = A.order() == Order::row_major;
  if (!by_rows && panel::few_columns<S, T>(X.cols())) return panel::multiply_columns<S, T>(alpha, A, X, beta, C);
  const panel::Shape shape = panel::shape();
  if constexpr (std::is_same_v<S, T>)
    if (!by_rows && shape.vector_bytes == 64) return panel::multiply_runs<T>(alpha, A, X, beta, C);
  const PackedPanel<T> packed(X, shape);
  if (!by_rows) return multiply_by_columns<S, T>(alpha, A, packed, shape.strip, beta, C);
  // The kernels round A in each group of columns. Measured with AVX2: a copy that is rounded once pays from 33 columns
  // on.
  if (packed.columns.vectors < (shape.vector_bytes == 64 ? 9 : 5))
    multiply_by_rows<S, S, T>(alpha, A, packed, shape.strip, beta, C);
  else
    multiply_by_rows<T, S, T>(alpha, A, packed, shape.strip, beta, C);
}

// Without AVX2 or the like OpenBLAS's own kernels are as good.
bool panel_multiply_is_vectorized() { return panel::shape().vector_bytes >= 32 || HWY_ARCH_ARM; }

namespace {

/// Whether multiply_by_columns, without vectors of 64 bytes, is to be taken before OpenBLAS with k columns, more than
/// few_columns. Measured with Zen 3 for 30 to 128: OpenBLAS makes up to 30 % more of whole sixteens, and of what lies
/// between 0.7 to 1.1 times as much, mostly less.
template <Real T>
bool copying_suits(Index k) {
  return k % 16 != 0 && k <= (std::is_same_v<T, double> ? 100 : 128);
}

}  // namespace

template <Real T>
bool panel_multiply_suits(MatrixView<const T> A, MatrixView<const T> X) {
  if (!panel_multiply_is_vectorized()) return false;
  const bool wide = panel::shape().vector_bytes == 64, by_rows = A.order() == Order::row_major;
  const Index k = X.cols();
  // Little or nothing is packed there, so small matrices will do. Too few rows would leave threads without work.
  if (!by_rows && (panel::few_columns<T, T>(k) || (wide && k <= 12))) return k > 0 && A.rows() >= 192 && A.cols() >= 8;
  // OpenBLAS's are as good for small matrices; not for a panel's rows as rows of A.
  if (A.cols() < 192 || A.rows() < (by_rows ? 24 : 192)) return false;
  // Beside OpenBLAS's kernels for shorter vectors, where it does not know the processor; their sums of few columns
  // depend on the threads, too.
  if (blas::vector_bytes() < panel::shape().vector_bytes) return k >= 2 && k <= 512;
  if (!wide && !by_rows) return copying_suits<T>(k);
  // The measured crossovers.
  constexpr bool in_double = std::is_same_v<T, double>;
  const Index most = in_double && by_rows ? 200 : in_double && wide && made_by_intel() ? 80 : 128;
  return k >= (wide ? 4 : 2) && k <= most;
}

template void panel_multiply(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template void panel_multiply(double, MatrixView<const double>, MatrixView<const double>, double, MatrixView<double>);
template void panel_multiply(float, MatrixView<const double>, MatrixView<const float>, float, MatrixView<float>);
template bool panel_multiply_suits(MatrixView<const float>, MatrixView<const float>);
template bool panel_multiply_suits(MatrixView<const double>, MatrixView<const double>);

}  // namespace lowrank
