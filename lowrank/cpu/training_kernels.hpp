#pragma once

#include <lowrank/core/training.hpp>

/// Kernels for training with small batches, for AVX2, AVX-512, NEON and the rest, chosen at run time. Each works on a
/// strip of W, on one thread; training_host.cpp cuts the strips. No sum goes over a strip's border: so the results do
/// not depend on the number of threads. What ReLU has set to zero costs nothing in times() and update().

namespace lowrank::kernels {

/// A step of the optimizer with its powers of β computed. With Adam: p -= step·m/(√v·root + epsilon).
template <Real T>
struct Rule {
  bool adam;
  T keep1, keep2;  ///< 1 - β₁, 1 - β₂
  T beta2, step, root, epsilon;
};

/// Y(:, 0:cols) = f(alpha·X·W + b + H·B), zero where `mask` (if any) is not positive.
template <Real T>
struct Product {
  Index batch, in, cols, rank;
  T alpha;
  const T* X;
  Index ldx;
  const T* W;
  Index ldw;      ///< [in, cols], or [cols, in] where it is transposed
  const T* bias;  ///< nullptr: none
  const T* H;
  Index ldh;  ///< [batch, rank]
  const T* B;
  Index ldb;  ///< [rank, cols]
  bool relu;
  const T* mask;  ///< nullptr: none
  Index ldmask;
  T* Y;
  Index ldy;
};

/// The rows of W, m and v (m and v only for Adam) follow dYᵀ·X, [rows, cols]: each entry is read once and written once,
/// and the gradient exists in registers only.
template <Real T>
struct Update {
  Index batch, rows, cols;
  const T* dY;
  Index lddy;
  const T* X;
  Index ldx;
  T *W, *m, *v;
  Index ldw;
  bool more;  ///< another row follows beneath these
  Rule<T> rule;
  /// [rows], or nullptr: Adam leaves a row without a gradient as it is and notes this step where -1 stands.
  std::int64_t* owed_since = nullptr;
  std::int64_t step = 0;
};

/// Entries that have waited for `steps` updates of Adam without a gradient, by one rule each (β the same in all): read
/// and written once.
template <Real T>
struct Waiting {
  Index count;
  T *p, *m, *v;
  Index ahead;  ///< from these to the entries that come next: those are asked for
  const Rule<T>* rules;
  Index steps;
  /// Whether each update is smaller than the one before: then one that changes no entry is the last that is computed.
  bool shrinks;
};

/// The largest batch that times() and times_transposed() take: a larger one goes through them in pieces.
constexpr Index most_samples = 128;

/// The most rows that update() takes at once, the samples whose sums it forms in registers, and, where there are more
/// of those, the most columns: the sums then wait in the first cache.
constexpr Index most_updated_rows = 16, most_updating = 64, most_updated_cols = 256;

/// W by rows: a zero of X spares the reading of a row of W for this sample, and where all samples have one, at all.
template <Real T>
void times(const Product<T>& work);
/// W transposed: what the mask does not let through costs nothing.
template <Real T>
void times_transposed(const Product<T>& work);
template <Real T>
void update(const Update<T>& work);
/// b (rows entries) follows the column sums of dY [batch, rows].
template <Real T>
void bias(const T* dY, Index lddy, Index batch, Index rows, T* b, T* m, T* v, const Rule<T>& rule);
/// See Waiting.
template <Real T>
void catch_up(const Waiting<T>& work);
/// Entries follow a gradient that lies in memory.
template <Real T>
void follow(const T* gradient, Index count, T* p, T* m, T* v, const Rule<T>& rule);

}  // namespace lowrank::kernels
