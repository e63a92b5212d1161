#pragma once

#include <lowrank/core/training.hpp>

/// Kernels for training with small batches, for AVX2, AVX-512, NEON and the rest, chosen at run time. Each works on a
/// strip of rows of W, on one thread; host_training.cpp cuts the strips, whose number depends on shapes alone: so the
/// results do not depend on the number of threads.

namespace lowrank::kernels {

/// A step of the optimizer with its powers of β computed. With Adam: p -= step·m/(√v·root + epsilon).
template <Real T>
struct Rule {
  bool adam;
  T keep1, keep2;  ///< 1 - β₁, 1 - β₂
  T beta2, step, root, epsilon;
};

/// Y(:, 0:rows) = f(alpha·X·Wᵀ + b + H·B) for `rows` rows of W.
template <Real T>
struct Forward {
  Index batch, in, rows, rank;
  T alpha;
  const T* X;
  Index ldx;
  const T* W;
  Index ldw;
  const T* bias;  ///< nullptr: none
  const T* H;
  Index ldh;  ///< [batch, rank]
  const T* B;
  Index ldb;  ///< [rank, rows]
  bool relu;
  T* Y;
  Index ldy;
};

/// One sweep over `rows` rows of W and the columns [first, last): where `sum` is set, sum (batch rows) = dY·W; where W
/// is trained, W, m and v follow dYᵀ·X. Each entry is read once and written once.
template <Real T>
struct Sweep {
  Index batch, rows, first, last;
  const T* dY;  ///< as pack_gradient lays it out
  const T* X;
  Index ldx;
  const T* frozen;  ///< W, where it is not trained
  T *W, *m, *v;
  Index ldw;  ///< nullptr where not trained; m and v only for Adam
  T* sum;
  Index lds;
  Rule<T> rule;
};

/// Rows of W that the sweep takes together; the height of strips is a multiple of it.
constexpr Index row_block = 8;

/// Rows [0, rows) of dYᵀ by blocks of row_block: entry (b, i) at (i/8)·8·batch + b·8 + i mod 8, the last block filled
/// with zeros.
template <Real T>
void pack_gradient(const T* dY, Index lddy, Index batch, Index rows, T* packed);

template <Real T>
void forward(const Forward<T>& work);
template <Real T>
void sweep(const Sweep<T>& work);
/// b (rows entries) follows the column sums of dY [batch, rows].
template <Real T>
void bias(const T* dY, Index lddy, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule);
/// Entries follow a gradient that lies in memory.
template <Real T>
void follow(const T* gradient, Index count, T* p, T* m, T* v, const Rule<T>& rule);
/// to[0:count) = Σ_s parts[s·stride + i] + Σ_k h[k]·A(k, i), zero where `mask` (if any) is not positive.
template <Real T>
void reduce(const T* parts, Index stride, Index count_parts, const T* h, const T* A, Index lda, Index rank,
            const T* mask, Index count, T* to);

}  // namespace lowrank::kernels
