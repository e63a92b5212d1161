#include <lowrank/cpu/panel_multiply.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lowrank/cpu/panel_multiply.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace lowrank {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Rows of A go through the kernel in strips of this height, a multiple of every R below.
constexpr int kStrip = 24;

/// Registers: with 32 of them 24 hold sums, with 16 it is 12. A group of V vectors of columns goes with R rows of A.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kSums = 24, kMaxVectors = 4;
#else
constexpr int kSums = 12, kMaxVectors = 3;
#endif

/// C (R rows, stride ldc) += a·x over `depth`: a(i, l) at a[i·a_row + l·a_col], x by rows of V vectors without gaps.
template <int V, class T>
HWY_INLINE void MicroKernel(const T* HWY_RESTRICT a, std::size_t a_row, std::size_t a_col, const T* HWY_RESTRICT x,
                            std::size_t depth, T* HWY_RESTRICT c, std::size_t ldc) {
  constexpr int R = kSums / V;
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const std::size_t lanes = hn::Lanes(d);
  Vector sum[R][V];
#pragma GCC unroll 24
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[i][v] = hn::Zero(d);
  for (std::size_t l = 0; l < depth; ++l) {
    Vector row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) row[v] = hn::Load(d, x + v * lanes);
    x += V * lanes;
#pragma GCC unroll 24
    for (int i = 0; i < R; ++i) {
      const Vector entry = hn::Set(d, a[i * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[i][v] = hn::MulAdd(entry, row[v], sum[i][v]);
    }
    a += a_col;
  }
#pragma GCC unroll 24
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      T* at = c + i * ldc + v * lanes;
      hn::Store(hn::Add(hn::Load(d, at), sum[i][v]), d, at);
    }
}

/// A strip of kStrip rows of A against one group of columns.
template <int V, class T>
void Group(const T* a, std::size_t a_row, std::size_t a_col, const T* x, std::size_t depth, T* c, std::size_t ldc) {
  constexpr int R = kSums / V;
  for (int i = 0; i < kStrip; i += R) MicroKernel<V>(a + i * a_row, a_row, a_col, x, depth, c + i * ldc, ldc);
}

template <class T>
void GroupOf(int vectors, const T* a, std::size_t a_row, std::size_t a_col, const T* x, std::size_t depth, T* c,
             std::size_t ldc) {
  switch (vectors) {
    case 1:
      return Group<1>(a, a_row, a_col, x, depth, c, ldc);
    case 2:
      return Group<2>(a, a_row, a_col, x, depth, c, ldc);
    case 3:
      return Group<3>(a, a_row, a_col, x, depth, c, ldc);
    default:
      if constexpr (kMaxVectors >= 4) return Group<4>(a, a_row, a_col, x, depth, c, ldc);
  }
}

void GroupF32(int vectors, const float* a, std::size_t a_row, std::size_t a_col, const float* x, std::size_t depth,
              float* c, std::size_t ldc) {
  GroupOf(vectors, a, a_row, a_col, x, depth, c, ldc);
}
void GroupF64(int vectors, const double* a, std::size_t a_row, std::size_t a_col, const double* x, std::size_t depth,
              double* c, std::size_t ldc) {
  GroupOf(vectors, a, a_row, a_col, x, depth, c, ldc);
}

/// Bytes of a vector and the most vectors in a group.
void Shape(std::size_t* bytes, int* most) {
  *bytes = hn::Lanes(hn::ScalableTag<float>()) * sizeof(float);
  *most = kMaxVectors;
}

}  // namespace HWY_NAMESPACE
}  // namespace lowrank
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <lowrank/core/matrix.hpp>

namespace lowrank {
namespace {

HWY_EXPORT(GroupF32);
HWY_EXPORT(GroupF64);
HWY_EXPORT(Shape);

void group(int vectors, const float* a, std::size_t a_row, std::size_t a_col, const float* x, std::size_t depth,
           float* c, std::size_t ldc) {
  HWY_DYNAMIC_DISPATCH(GroupF32)(vectors, a, a_row, a_col, x, depth, c, ldc);
}
void group(int vectors, const double* a, std::size_t a_row, std::size_t a_col, const double* x, std::size_t depth,
           double* c, std::size_t ldc) {
  HWY_DYNAMIC_DISPATCH(GroupF64)(vectors, a, a_row, a_col, x, depth, c, ldc);
}

/// How the columns of a panel are cut: groups of up to `most` vectors, as even as can be.
template <Real T>
struct Columns {
  Index lanes, vectors, groups, width;
  explicit Columns(Index k) {
    std::size_t bytes = 0;
    int most = 0;
    HWY_DYNAMIC_DISPATCH(Shape)(&bytes, &most);
    lanes = static_cast<Index>(bytes / sizeof(T));
    vectors = (k + lanes - 1) / lanes;
    groups = (vectors + most - 1) / most;
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

/// A block of A as it meets the kernel: `rows` of the result and `depth` of the sum at a time. Copied, so that its
/// strips lie close together whatever A's leading dimension is (powers of two would fight for the same cache lines).
template <Real T>
class Block {
 public:
  static constexpr Index strip = 24;
  Index rows, depth;

  /// For sums of `width` columns. Rows of a row-major A are read along the sum, 128 entries at a time; columns of a
  /// column-major one along the rows, in runs as long as the sums leave room for in the second-level cache.
  Block(Order order, Index width) : order_(order) {
    constexpr Index cache = Index{320} << 10;
    const Index fit = cache / (width * static_cast<Index>(sizeof(T)));
    rows = order == Order::row_major ? 4 * strip : std::clamp<Index>(fit / strip, 12, 64) * strip;
    depth = order == Order::row_major ? 128 : std::clamp<Index>(128 * 16 * strip / rows, 48, 128);
    copy_ = Matrix<T>((depth + gap) * rows, 1);
  }

  void load(MatrixView<const T> A) {
    padded_ = (A.rows() + strip - 1) / strip * strip;
    depth_ = A.cols();
    if (order_ == Order::row_major) {
      // Row by row: entry (i, l) at i·(depth + gap) + l.
      for (Index i = 0; i < A.rows(); ++i) std::copy_n(A.data() + i * A.ld(), depth_, copy_.data() + i * (depth + gap));
      for (Index i = A.rows(); i < padded_; ++i) std::fill_n(copy_.data() + i * (depth + gap), depth_, T(0));
    } else {
      // Strip by strip, each column by column: entry (i, l) of a strip at l·strip + i.
      for (Index l = 0; l < depth_; ++l)
        for (Index i = 0; i < padded_; i += strip) {
          const T* from = A.data() + l * A.ld() + i;
          T* to = copy_.data() + i * depth_ + l * strip;
          const Index real = std::min(strip, A.rows() - i);
          if (real == strip) {
            std::memcpy(to, from, strip * sizeof(T));
          } else {
            std::copy_n(from, real, to);
            std::fill(to + real, to + strip, T(0));
          }
        }
    }
  }

  Index padded_rows() const { return padded_; }
  const T* strip_at(Index i) const {
    return copy_.data() + (order_ == Order::row_major ? i * (depth + gap) : i * depth_);
  }
  Index row_step() const { return order_ == Order::row_major ? depth + gap : 1; }
  Index col_step() const { return order_ == Order::row_major ? 1 : strip; }

 private:
  static constexpr Index gap = 64 / sizeof(T);
  Order order_;
  Matrix<T> copy_;
  Index padded_ = 0, depth_ = 0;
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

template <Real T>
void panel_multiply(T alpha, MatrixView<const T> A, MatrixView<const T> X, T beta, MatrixView<T> C) {
  const Index m = A.rows(), n = A.cols();
  const Columns<T> columns(X.cols());
  Matrix<T> packed(checked_product(n, columns.width), 1);
  pack_panel<T>(X, columns, packed.data());

#pragma omp parallel
  {
    Block<T> block(A.order(), columns.width);
    Matrix<T> sums(block.rows * columns.width, 1);
#pragma omp for schedule(dynamic, 1)
    for (Index i0 = 0; i0 < m; i0 += block.rows) {
      const Index rows = std::min(block.rows, m - i0);
      std::fill_n(sums.data(), sums.size(), T(0));
      for (Index l0 = 0; l0 < n; l0 += block.depth) {
        const Index depth = std::min(block.depth, n - l0);
        block.load(A.block(i0, l0, rows, depth));
        for (Index g = 0; g < columns.groups; ++g) {
          const Index width = columns.count(g) * columns.lanes, j0 = columns.first(g) * columns.lanes;
          for (Index i = 0; i < block.padded_rows(); i += Block<T>::strip)
            group(static_cast<int>(columns.count(g)), block.strip_at(i), static_cast<std::size_t>(block.row_step()),
                  static_cast<std::size_t>(block.col_step()), packed.data() + n * j0 + l0 * width,
                  static_cast<std::size_t>(depth), sums.data() + i * columns.width + j0,
                  static_cast<std::size_t>(columns.width));
        }
      }
      store_tile<T>(alpha, sums.data(), columns.width, beta, C.middle_rows(i0, rows));
    }
  }
}

template <Real T>
bool panel_multiply_suits(MatrixView<const T> A, MatrixView<const T> X) {
  std::size_t bytes = 0;
  int most = 0;
  HWY_DYNAMIC_DISPATCH(Shape)(&bytes, &most);
  // Without AVX2 or the like OpenBLAS's own kernels are as good; so they are for few rows.
  if (bytes < 32 && !HWY_ARCH_ARM) return false;
  if (A.rows() < 192 || A.cols() < 192) return false;
  // The measured crossovers.
  const Index k = X.cols();
  if (std::is_same_v<T, float>) return k >= 4 && k <= (A.order() == Order::row_major ? 200 : 128);
  return A.order() == Order::row_major && k >= 4 && k <= 128;
}

template void panel_multiply(float, MatrixView<const float>, MatrixView<const float>, float, MatrixView<float>);
template void panel_multiply(double, MatrixView<const double>, MatrixView<const double>, double, MatrixView<double>);
template bool panel_multiply_suits(MatrixView<const float>, MatrixView<const float>);
template bool panel_multiply_suits(MatrixView<const double>, MatrixView<const double>);

}  // namespace lowrank
#endif  // HWY_ONCE
