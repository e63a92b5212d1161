#include <hwy/base.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <lowrank/core/matrix.hpp>
#include <lowrank/cpu/panel_kernel.hpp>
#include <lowrank/cpu/panel_multiply.hpp>

namespace lowrank {
namespace {

Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

/// How the columns of a panel are cut: groups of as many vectors as the kernels take at most, as even as can be.
template <Real T>
struct Columns {
  Index lanes, vectors, groups, width;
  Columns(Index k, const panel::Shape& shape) {
    lanes = shape.vector_bytes / static_cast<Index>(sizeof(T));
    vectors = (k + lanes - 1) / lanes;
    groups = (vectors + shape.most_vectors - 1) / shape.most_vectors;
    width = vectors * lanes;
  }
  Index first(Index g) const { return g * vectors / groups; }
  Index count(Index g) const { return first(g + 1) - first(g); }
};

/// Rows of X by groups: group g starts at n·lanes·first(g) and holds n rows of count(g) vectors; columns beyond k are
/// zero.
template <Real T>
void pack_panel(MatrixView<const T> X, const Columns<T>& columns, T* packed) {
  const Index n = X.rows(), k = X.cols();
#pragma omp parallel for schedule(static) collapse(2)
  for (Index g = 0; g < columns.groups; ++g)
    for (Index l0 = 0; l0 < n; l0 += 64) {
      const Index width = columns.count(g) * columns.lanes, j0 = columns.first(g) * columns.lanes;
      const Index rows = std::min<Index>(64, n - l0), real = std::min(width, k - j0);
      T* to = packed + n * j0 + l0 * width;
      if (X.order() == Order::row_major) {
        for (Index l = 0; l < rows; ++l) std::copy_n(&X(l0 + l, j0), real, to + l * width);
      } else {
        for (Index j = 0; j < real; ++j)
          for (Index l = 0; l < rows; ++l) to[l * width + j] = X.data()[l0 + l + (j0 + j) * X.ld()];
      }
      for (Index l = 0; l < rows; ++l) std::fill(to + l * width + real, to + (l + 1) * width, T(0));
    }
}

/// Terms of a sum that meet the kernels at a time: a strip of A and a group of X fit the first-level cache together.
constexpr Index kDepth = 96;

/// Rows of C that are computed at a time: their sums, the block of A and the next one fit the second-level cache; and
/// so many blocks that the threads end together.
template <Real T>
Index block_rows(Index m, Index width, Index strip) {
  const long reported = sysconf(_SC_LEVEL2_CACHE_SIZE);
  const Index cache = reported > 0 ? reported : Index{512} << 10;
  const Index per_row = 2 * kDepth * static_cast<Index>(sizeof(T)) + width * static_cast<Index>(sizeof(T));
  const Index fit = std::clamp<Index>(cache * 3 / 4 / per_row, 48, 480);
  const Index rounds = 4 * threads();
  const Index blocks = m >= 96 * rounds ? std::max(round_up((m + fit - 1) / fit, threads()), rounds)
                                        : round_up((m + fit - 1) / fit, threads());
  return round_up((m + blocks - 1) / blocks, strip);
}

/// A block of A as it meets the kernels. Copied, so that its strips lie close together whatever A's leading dimension
/// is (powers of two would fight for the same cache lines). That is done in chunks of a few rows or columns between the
/// products with the block before, and their memory is asked for still earlier, so that reading overlaps computing.
template <Real S, Real T>
class Block {
 public:
  Block(Order order, Index rows, Index strip)
      : by_rows_(order == Order::row_major), strip_(strip), copy_(rows / strip * strip_pitch(strip), 1) {}

  /// A is to be loaded within `steps` steps.
  void begin(MatrixView<const S> A, Index steps) {
    A_ = A;
    rows_ = round_up(A.rows(), strip_);
    for (Index i = by_rows_ ? A.rows() : rows_; i < rows_; ++i) std::fill_n(row(i), A.cols(), T(0));
    const Index lines_of_run = lines((by_rows_ ? A.cols() : A.rows()) * static_cast<Index>(sizeof(S)));
    steps_of_chunk_ = std::max<Index>(steps / ((runs() + kChunk - 1) / kChunk), 1);
    lines_of_step_ = (lines_of_run * kChunk + steps_of_chunk_ - 1) / steps_of_chunk_;
    fetched_run_ = fetched_line_ = loaded_ = steps_ = 0;
    lines_of_run_ = lines_of_run;
  }
  /// A few lines are asked for; now and then a chunk is loaded.
  void step() {
    fetch(lines_of_step_);
    if (++steps_ % steps_of_chunk_ == 0) load(kChunk);
  }
  void finish() { load(runs()); }

  MatrixView<const S> source() const { return A_; }
  Index rows() const { return rows_; }
  const T* strip_at(Index i) const { return copy_.data() + i / strip_ * strip_pitch(strip_); }
  Index row_step() const { return by_rows_ ? kDepth + kGap : 1; }
  Index col_step() const { return by_rows_ ? 1 : strip_; }

 private:
  /// A cache line, so that neither rows nor strips are a power of two apart.
  static constexpr Index kGap = 64 / sizeof(T);
  /// Rows or columns that are copied together.
  static constexpr Index kChunk = 16;
  static constexpr Index strip_pitch(Index strip) { return strip * (kDepth + kGap) + kGap; }

  T* row(Index i) { return copy_.data() + i / strip_ * strip_pitch(strip_) + i % strip_ * (kDepth + kGap); }
  Index runs() const { return by_rows_ ? A_.rows() : A_.cols(); }
  static Index lines(Index bytes) { return (bytes + 63) / 64; }

  void fetch(Index count) {
    for (; count > 0 && fetched_run_ < runs(); --count) {
      // Into the second-level cache: the first one holds what is being computed with.
      __builtin_prefetch(reinterpret_cast<const char*>(A_.data() + fetched_run_ * A_.ld()) + fetched_line_ * 64, 0, 2);
      if (++fetched_line_ == lines_of_run_) fetched_line_ = 0, ++fetched_run_;
    }
  }
  void load(Index count) {
    const Index end = std::min(loaded_ + count, runs());
    for (; loaded_ < end; ++loaded_) {
      const S* from = A_.data() + loaded_ * A_.ld();
      // Entry (i, l) by rows at i·(kDepth + kGap) + l, by columns at l·strip + i of its strip.
      if (by_rows_)
        convert(from, A_.cols(), row(loaded_));
      else
        strip_ == 12 ? load_column<12>(from) : load_column<24>(from);
    }
  }
  static void convert(const S* from, Index n, T* to) {
    if constexpr (std::is_same_v<S, T>)
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    else
      for (Index i = 0; i < n; ++i) to[i] = static_cast<T>(from[i]);
  }
  /// The height is a constant, so that a strip's part is copied in a few instructions.
  template <Index Strip>
  void load_column(const S* from) {
    const Index whole = A_.rows() / Strip * Strip, rest = A_.rows() - whole;
    T* to = copy_.data() + loaded_ * Strip;
    for (Index i = 0; i < whole; i += Strip, to += strip_pitch(Strip)) convert(from + i, Strip, to);
    if (rest == 0) return;
    convert(from + whole, rest, to);
    std::fill_n(to + rest, Strip - rest, T(0));
  }

  bool by_rows_;
  Index strip_;
  Matrix<T> copy_;
  MatrixView<const S> A_;
  Index rows_ = 0, loaded_ = 0, fetched_run_ = 0, fetched_line_ = 0;
  Index steps_ = 0, steps_of_chunk_ = 1, lines_of_step_ = 0, lines_of_run_ = 0;
};

/// C = alpha·S + beta·C for a tile S by rows.
template <Real T>
void store_tile(T alpha, const T* S, Index lds, T beta, MatrixView<T> C) {
  const bool by_rows = C.order() == Order::row_major;
  const Index lines = by_rows ? C.rows() : C.cols(), length = by_rows ? C.cols() : C.rows();
  for (Index l = 0; l < lines; ++l) {
    T* line = C.data() + l * C.ld();
    for (Index i = 0; i < length; ++i) {
      const T value = alpha * (by_rows ? S[l * lds + i] : S[i * lds + l]);
      line[i] = beta == T(0) ? value : value + beta * line[i];
    }
  }
}

}  // namespace

template <Real S, Real T>
void panel_multiply(T alpha, MatrixView<const S> A, MatrixView<const T> X, T beta, MatrixView<T> C) {
  const Index m = A.rows(), n = A.cols();
  if (C.empty()) return;
  const panel::Shape shape = panel::shape();
  const Columns<T> columns(X.cols(), shape);
  Matrix<T> packed(checked_product(n, columns.width), 1);
  pack_panel<T>(X, columns, packed.data());

  const Index height = block_rows<T>(m, columns.width, shape.strip), blocks = (m + height - 1) / height;
  std::atomic<Index> counter{0};
#pragma omp parallel
  {
    Block<S, T> first(A.order(), height, shape.strip), second(A.order(), height, shape.strip);
    Block<S, T>*present = &first, *coming = &second;
    Matrix<T> sums(height * columns.width, 1);
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
        if (more)
          coming->begin(l0 + kDepth < n ? cut(b, l0 + kDepth) : cut(next, 0),
                        present->rows() / shape.strip * columns.groups);
        const Index depth = present->source().cols();
        for (Index g = 0; g < columns.groups; ++g) {
          const Index vectors = columns.count(g), j0 = columns.first(g) * columns.lanes;
          const T* x = packed.data() + n * j0 + l0 * vectors * columns.lanes;
          for (Index i = 0; i < present->rows(); i += shape.strip) {
            if (more) coming->step();
            panel::multiply_strip(vectors, present->strip_at(i), present->row_step(), present->col_step(), x, depth,
                                  sums.data() + i * columns.width + j0, columns.width);
          }
        }
        if (more) coming->finish();
        std::swap(present, coming);
      }
      store_tile<T>(alpha, sums.data(), columns.width, beta,
                    C.middle_rows(b * height, std::min(height, m - b * height)));
    }
  }
}

// Without AVX2 or the like OpenBLAS's own kernels are as good.
bool panel_multiply_is_vectorized() { return panel::shape().vector_bytes >= 32 || HWY_ARCH_ARM; }

template <Real T>
bool panel_multiply_suits(MatrixView<const T> A, MatrixView<const T> X) {
  // OpenBLAS's are as good for few rows too.
  if (!panel_multiply_is_vectorized()) return false;
  if (A.rows() < 192 || A.cols() < 192) return false;
  // The measured crossovers.
  const Index k = X.cols();
  const bool by_rows = A.order() == Order::row_major;
  if (std::is_same_v<T, double>) return by_rows && k >= 4 && k <= 128;
  if (by_rows) return k >= 4 && k <= 200;
  return k >= (panel::shape().vector_bytes < 64 ? 72 : 4) && k < 128;
}

template void panel_multiply(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template void panel_multiply(double, MatrixView<const double>, MatrixView<const double>, double, MatrixView<double>);
template void panel_multiply(float, MatrixView<const double>, MatrixView<const float>, float, MatrixView<float>);
template bool panel_multiply_suits(MatrixView<const float>, MatrixView<const float>);
template bool panel_multiply_suits(MatrixView<const double>, MatrixView<const double>);

}  // namespace lowrank
