#include <omp.h>

#include <algorithm>
#include <cmath>
#include <lowrank/cpu/blas.hpp>
#include <lowrank/cpu/flush_subnormals.hpp>
#include <lowrank/cpu/host_training.hpp>
#include <lowrank/cpu/training_kernels.hpp>
#include <stdexcept>

// The linear layers on the CPU: how their work is cut into strips, and the way through BLAS.

namespace lowrank {
namespace {

/// Below so many multiplications a region with several threads costs more than it gains.
constexpr Index worth_threads = 60'000;

/// work(shared) by all threads where that is worth it, or else by this one without a region: for one of a single thread
/// OpenMP would allocate memory in every step.
template <class Work>
void by_threads(bool worth, const Work& work) {
  if (!worth) {
    const FlushSubnormals flush;
    return work(false);
  }
#pragma omp parallel
  {
    const FlushSubnormals flush;
    work(true);
  }
}

/// task(0), ..., task(count - 1), divided between the threads of the region where it is `shared`.
template <class Task>
void for_strips(Index count, bool shared, const Task& task) {
  if (!shared) {
    for (Index s = 0; s < count; ++s) task(s);
    return;
  }
#pragma omp for schedule(dynamic, 1)
  for (Index s = 0; s < count; ++s) task(s);
}

template <class View>
void require_rows(const View& view) {
  if (view.order() != Order::row_major && !view.empty())
    throw std::invalid_argument("training primitives: a view must be row-major");
}

template <Real T>
kernels::Rule<T> rule_of(const Optimizer& optimizer, const TrainingClock* clock) {
  const double t = static_cast<double>(clock->step + 1);
  const bool adam = optimizer.rule == UpdateRule::adam;
  return {.adam = adam,
          .keep1 = static_cast<T>(1 - optimizer.beta1),
          .keep2 = static_cast<T>(1 - optimizer.beta2),
          .beta2 = static_cast<T>(optimizer.beta2),
          .step = static_cast<T>(adam ? optimizer.lr / (1 - std::pow(optimizer.beta1, t)) : optimizer.lr),
          .root = static_cast<T>(1 / std::sqrt(1 - std::pow(optimizer.beta2, t))),
          .epsilon = static_cast<T>(optimizer.epsilon)};
}

Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

/// The sides of the tiles that go through BLAS. Each is computed by one thread with OpenBLAS set to one: threads of two
/// pools would fight for the cores, and the bits would depend on their number.
constexpr Index tile_rows = 256, tile_cols = 1024;

/// task(i, j, rows, cols) for each tile of an m×n matrix.
template <class Task>
void for_tiles(Index m, Index n, int thread_count, const Task& task) {
#pragma omp parallel for schedule(dynamic, 1) collapse(2) num_threads(thread_count)
  for (Index i = 0; i < m; i += tile_rows)
    for (Index j = 0; j < n; j += tile_cols) {
      const FlushSubnormals flush;
      task(i, j, std::min(tile_rows, m - i), std::min(tile_cols, n - j));
    }
}

/// C = alpha·A·B + beta·C for row-major C and A or B of either order.
template <Real T>
void gemm(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) {
  const auto flag = [](const MatrixView<const T>& X) {
    return X.order() == Order::row_major ? CblasNoTrans : CblasTrans;
  };
  blas::gemm(CblasRowMajor, flag(A), flag(B), blas_int(C.rows()), blas_int(C.cols()), blas_int(A.cols()), alpha,
             A.data(), blas_int(A.ld()), B.data(), blas_int(B.ld()), beta, C.data(), blas_int(C.ld()));
}

template <Real T>
void forward_by_blas(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                     MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) {
  const ScopedThreads single(1);
  for_tiles(Y.rows(), Y.cols(), single.before(), [&](Index i, Index j, Index rows, Index cols) {
    const MatrixView<T> part = Y.block(i, j, rows, cols);
    gemm<T>(alpha, X.middle_rows(i, rows), W.middle_rows(j, cols).transposed(), T(0), part);
    if (!H.empty()) gemm<T>(T(1), H.middle_rows(i, rows), B.middle_cols(j, cols), T(1), part);
    for (Index r = 0; r < rows; ++r) {
      T* y = part.data() + r * part.ld();
      if (!b.empty())
        for (Index c = 0; c < cols; ++c) y[c] += b.data()[j + c];
      if (f == Activation::relu)
        for (Index c = 0; c < cols; ++c) y[c] = y[c] < T(0) ? T(0) : y[c];
    }
  });
}

/// W follows dYᵀ·X, formed tile by tile: the optimizer reads it while it is in the thread's cache.
template <Real T>
void update_by_blas(const LinearBackward<T>& layer, const kernels::Rule<T>& rule, std::span<T> scratch) {
  const ScopedThreads single(1);
  const Trained<T>&W = layer.weight, &b = layer.bias;
  const int fitting = static_cast<int>(static_cast<Index>(scratch.size()) / (tile_rows * tile_cols));
  for_tiles(W.value.rows(), W.value.cols(), std::min(single.before(), fitting),
            [&](Index i, Index j, Index rows, Index cols) {
              const MatrixView<T> G(scratch.data() + omp_get_thread_num() * tile_rows * tile_cols, rows, cols,
                                    tile_cols, Order::row_major);
              gemm<T>(T(1), layer.dY.middle_cols(i, rows).transposed(), layer.X.middle_cols(j, cols), T(0), G);
              for (Index r = 0; r < rows; ++r) {
                const Index at = (i + r) * W.value.ld() + j;
                kernels::follow<T>(G.data() + r * tile_cols, cols, W.value.data() + at, W.m.data() + at,
                                   W.v.data() + at, rule);
              }
            });
  if (!b.value.empty())
    kernels::bias<T>(layer.dY.data(), layer.dY.ld(), layer.dY.rows(), layer.dY.cols(), b.value.data(), b.m.data(),
                     b.v.data(), rule);
}

/// A product by strips of its columns and pieces of the batch; work of by_threads(). A strip of a transposed W (rows of
/// it) is small; one of W is wide enough for the tiles of the kernel, and there are enough for all threads.
template <Real T>
void multiply(const kernels::Product<T>& all, bool transposed, bool shared) {
  const Index parts = 4 * (shared ? omp_get_num_threads() : 1);
  const Index width = transposed ? std::clamp<Index>(all.cols / 16 / 4 * 4, 4, 64)
                                 : std::max<Index>(64, round_up((all.cols + parts - 1) / parts, 16));
  constexpr Index height = kernels::most_samples;
  const Index strips = (all.cols + width - 1) / width, pieces = (all.batch + height - 1) / height;
  for_strips(strips * pieces, shared, [&](Index s) {
    const Index i = s / strips * height, j = s % strips * width;
    kernels::Product<T> strip = all;
    strip.batch = std::min(height, all.batch - i);
    strip.cols = std::min(width, all.cols - j);
    strip.X += i * all.ldx;
    strip.W += transposed ? j * all.ldw : j;
    if (all.bias != nullptr) strip.bias += j;
    if (all.rank > 0) {
      strip.H += i * all.ldh;
      strip.B += j;
    }
    if (all.mask != nullptr) strip.mask += i * all.ldmask + j;
    strip.Y += i * all.ldy + j;
    if (transposed)
      kernels::times_transposed<T>(strip);
    else
      kernels::times<T>(strip);
  });
}

/// dX = (dY·W + dH·A) ∘ f'(X); work of by_threads().
template <Real T>
void input_gradient_by_kernels(const LinearBackward<T>& layer, bool shared) {
  multiply<T>({.batch = layer.dX.rows(),
               .in = layer.dY.cols(),
               .cols = layer.dX.cols(),
               .rank = layer.dH.cols(),
               .alpha = T(1),
               .X = layer.dY.data(),
               .ldx = layer.dY.ld(),
               .W = layer.W.data(),
               .ldw = layer.W.ld(),
               .bias = nullptr,
               .H = layer.dH.data(),
               .ldh = layer.dH.ld(),
               .B = layer.A.data(),
               .ldb = layer.A.ld(),
               .relu = false,
               .mask = layer.input == Activation::relu ? layer.X.data() : nullptr,
               .ldmask = layer.X.ld(),
               .Y = layer.dX.data(),
               .ldy = layer.dX.ld()},
              layer.W.order() == Order::col_major, shared);
}

/// W and b follow their gradients; work of by_threads().
template <Real T>
void update_by_kernels(const LinearBackward<T>& layer, const kernels::Rule<T>& rule, bool shared) {
  const Trained<T>&w = layer.weight, &b = layer.bias;
  const Index batch = layer.dY.rows(), out = layer.dY.cols(), in = layer.X.cols();
  constexpr Index height = kernels::most_updated_rows, cache = 128 << 10;
  // The columns of X stay in the second cache.
  const Index width = std::min(batch > kernels::most_updating ? kernels::most_updated_cols : in,
                               std::max<Index>(64, cache / (batch * static_cast<Index>(sizeof(T))) / 64 * 64));
  const Index strips = (out + height - 1) / height, across = (in + width - 1) / width;
  for_strips(strips * across, shared, [&](Index task) {
    const Index first = task / across * height, rows = std::min(height, out - first), j = task % across * width;
    const T* dY = layer.dY.data() + first;
    const Index at = first * w.value.ld() + j;
    kernels::update<T>({.batch = batch,
                        .rows = rows,
                        .cols = std::min(width, in - j),
                        .dY = dY,
                        .lddy = layer.dY.ld(),
                        .X = layer.X.data() + j,
                        .ldx = layer.X.ld(),
                        .W = w.value.data() + at,
                        .m = w.m.data() + at,
                        .v = w.v.data() + at,
                        .ldw = w.value.ld(),
                        .rule = rule});
    if (j == 0 && !b.value.empty())
      kernels::bias<T>(dY, layer.dY.ld(), batch, rows, b.value.data() + first, b.m.data() + first, b.v.data() + first,
                       rule);
  });
}

}  // namespace

template <Real T>
void HostTraining<T>::linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                                     MatrixView<const T> H, MatrixView<const T> B, Activation f,
                                     MatrixView<T> Y) const {
  for (const auto& view : {X, H, B}) require_rows(view);
  require_rows(Y);
  const Index batch = X.rows(), in = X.cols(), out = W.rows();
  if (W.order() == Order::row_major && by_blas(batch, out, small_forward))
    return forward_by_blas<T>(alpha, X, W, b, H, B, f, Y);
  by_threads(batch * in * out > worth_threads, [&](bool shared) {
    multiply<T>({.batch = batch,
                 .in = in,
                 .cols = out,
                 .rank = H.cols(),
                 .alpha = alpha,
                 .X = X.data(),
                 .ldx = X.ld(),
                 .W = W.data(),
                 .ldw = W.ld(),
                 .bias = b.empty() ? nullptr : b.data(),
                 .H = H.data(),
                 .ldh = H.ld(),
                 .B = B.data(),
                 .ldb = B.ld(),
                 .relu = f == Activation::relu,
                 .mask = nullptr,
                 .ldmask = 0,
                 .Y = Y.data(),
                 .ldy = Y.ld()},
                W.order() == Order::row_major, shared);
  });
}

template <Real T>
bool HostTraining<T>::gains_by_columns(Index, Index out) const {
  return out >= 64;
}

template <Real T>
Index HostTraining<T>::scratch_size(Index batch, Index out, Index) const {
  return by_blas(batch, out) ? threads() * tile_rows * tile_cols : 0;
}

template <Real T>
void HostTraining<T>::linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer,
                                      const TrainingClock* clock, std::span<T> scratch) const {
  for (const auto& view : {layer.dY, layer.X, layer.dH, layer.A}) require_rows(view);
  if (!layer.weight.value.empty()) require_rows(layer.weight.value);
  const auto rule = rule_of<T>(optimizer, clock);
  const bool trained = !layer.weight.value.empty(), product = trained && by_blas(layer.dY.rows(), layer.dY.cols());
  by_threads(layer.dY.rows() * layer.dY.cols() * layer.X.cols() > worth_threads, [&](bool shared) {
    // dX is made of W as it was before: the threads wait for one another between the two.
    if (!layer.dX.empty()) input_gradient_by_kernels<T>(layer, shared);
    if (trained && !product) update_by_kernels<T>(layer, rule, shared);
  });
  if (product) update_by_blas<T>(layer, rule, scratch);
}

template <Real T>
void HostTraining<T>::update(MatrixView<const T> L, MatrixView<const T> R, const Trained<T>& parameters,
                             const Optimizer& optimizer, const TrainingClock* clock, std::span<T> scratch) const {
  LinearBackward<T> layer;
  layer.dY = L;
  layer.X = R;
  layer.W = parameters.value;
  layer.weight = parameters;
  linear_backward(layer, optimizer, clock, scratch);
}

template class HostTraining<float>;
template class HostTraining<double>;

}  // namespace lowrank
