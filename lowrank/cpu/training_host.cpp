#include <omp.h>

#include <algorithm>
#include <lowrank/cpu/flush_subnormals.hpp>
#include <lowrank/cpu/host_training.hpp>
#include <lowrank/cpu/round_up.hpp>
#include <lowrank/cpu/training_blas.hpp>
#include <lowrank/cpu/training_kernels.hpp>
#include <lowrank/cpu/training_owed.hpp>
#include <stdexcept>

// The linear layers on the CPU: how their work is cut into strips for the kernels.

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

/// The rows [first, first + rows) and the columns [col, col + cols) of the parameters by the kernels.
template <Real T>
void update_strip(const Following<T>& work, const kernels::Rule<T>& rule, Index first, Index rows, Index col,
                  Index cols, std::int64_t* owed_since = nullptr, std::int64_t step = 0) {
  const Trained<T>& W = work.parameters;
  const Index at = first * W.value.ld() + col;
  kernels::update<T>({.batch = work.L.rows(),
                      .rows = rows,
                      .cols = cols,
                      .dY = work.L.data() + first,
                      .lddy = work.L.ld(),
                      .X = work.R.data() + col,
                      .ldx = work.R.ld(),
                      .W = W.value.data() + at,
                      .m = W.m.data() + at,
                      .v = W.v.data() + at,
                      .ldw = W.value.ld(),
                      .more = first + rows < W.value.rows(),
                      .rule = rule,
                      .owed_since = owed_since == nullptr ? nullptr : owed_since + first,
                      .step = step});
}

/// The parameters follow by the kernels; work of by_threads().
template <Real T>
void update_by_kernels(const Following<T>& work, const kernels::Rule<T>& rule, bool shared) {
  const Index batch = work.L.rows(), all_rows = work.L.cols(), all_cols = work.R.cols();
  constexpr Index height = kernels::most_updated_rows, cache = 128 << 10;
  // The columns of R stay in the second cache.
  const Index width = std::min(batch > kernels::most_updating ? kernels::most_updated_cols : all_cols,
                               std::max<Index>(64, cache / (batch * static_cast<Index>(sizeof(T))) / 64 * 64));
  const Index strips = (all_rows + height - 1) / height, across = (all_cols + width - 1) / width;
  for_strips(strips * across, shared, [&](Index task) {
    const Index first = task / across * height, col = task % across * width;
    update_strip(work, rule, first, std::min(height, all_rows - first), col, std::min(width, all_cols - col));
  });
}

template <Real T>
void update_bias(const LinearBackward<T>& layer, const kernels::Rule<T>& rule) {
  const Trained<T>& b = layer.bias;
  if (!b.value.empty())
    kernels::bias<T>(layer.dY.data(), layer.dY.ld(), layer.dY.rows(), layer.dY.cols(), b.value.data(), b.m.data(),
                     b.v.data(), rule);
}

/// Some columns and samples of a product.
template <Real T>
void multiply_part(const kernels::Product<T>& all, bool transposed, Index sample, Index col, Index cols) {
  kernels::Product<T> part = all;
  part.batch = std::min(kernels::most_samples, all.batch - sample);
  part.cols = cols;
  part.X += sample * all.ldx;
  part.W += transposed ? col * all.ldw : col;
  if (all.bias != nullptr) part.bias += col;
  if (all.rank > 0) {
    part.H += sample * all.ldh;
    part.B += col;
  }
  if (all.mask != nullptr) part.mask += sample * all.ldmask + col;
  part.Y += sample * all.ldy + col;
  if (transposed)
    kernels::times_transposed<T>(part);
  else
    kernels::times<T>(part);
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
    const Index col = s % strips * width;
    multiply_part(all, transposed, s / strips * height, col, std::min(width, all.cols - col));
  });
}

/// The updates that those columns owe that are `due`; work of by_threads().
template <Real T, class Due>
void make_owed(const OwedUpdates<T>& owed, Index cols, bool shared, const Due& due) {
  constexpr Index width = 32;
  for_strips(owed.none() ? 0 : (cols + width - 1) / width, shared, [&](Index strip) {
    Index found[width], count = 0;
    for (Index i = strip * width; i < std::min(cols, (strip + 1) * width); ++i)
      if (owed.owes(i) && due(i)) found[count++] = i;
    for (Index k = 0; k < count; ++k) owed.make(found[k], found[std::min(k + 1, count - 1)]);
  });
}

/// f(alpha·X·Wᵀ + b + H·B).
template <Real T>
kernels::Product<T> forward_product(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                                    MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) {
  return {.batch = X.rows(),
          .in = X.cols(),
          .cols = W.rows(),
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
          .ldy = Y.ld()};
}

/// dX = (dY·W + dH·A) ∘ f'(X).
template <Real T>
kernels::Product<T> input_gradient(const LinearBackward<T>& layer) {
  return {.batch = layer.dX.rows(),
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
          .ldy = layer.dX.ld()};
}

/// dX and the update for W by columns: a row of Wᵀ gives one column of dX and follows a gradient of its own, so that it
/// is read once for both. Work of by_threads().
template <Real T>
void backward_by_columns(const LinearBackward<T>& layer, const kernels::Rule<T>& rule, std::int64_t step, bool shared) {
  const Following<T> work(layer);
  const kernels::Product<T> product = input_gradient(layer);
  const Index in = layer.X.cols(), out = layer.dY.cols(), batch = layer.dY.rows();
  constexpr Index height = kernels::most_updated_rows;
  for_strips((in + height - 1) / height, shared, [&](Index task) {
    const Index first = task * height, rows = std::min(height, in - first);
    for (Index sample = 0; sample < batch; sample += kernels::most_samples)
      multiply_part(product, true, sample, first, rows);
    update_strip(work, rule, first, rows, Index(0), out, layer.owed_since, step);
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
    multiply(forward_product<T>(alpha, X, W, b, H, B, f, Y), W.order() == Order::row_major, shared);
  });
}

template <Real T>
bool HostTraining<T>::gains_by_columns(Index, Index out) const {
  return out >= 64;
}

template <Real T>
void HostTraining<T>::owing_forward(MatrixView<const T> X, const Owing<T>& owing, const Optimizer& optimizer,
                                    const TrainingClock* clock, MatrixView<const T> b, Activation f,
                                    MatrixView<T> Y) const {
  require_rows(X);
  require_rows(Y);
  const OwedUpdates<T> owed(owing, optimizer, clock);
  const auto used = [&](Index i) {
    for (Index sample = 0; sample < X.rows(); ++sample)
      if (X.data()[sample * X.ld() + i] != 0) return true;  // A NaN is not zero.
    return false;
  };
  by_threads(X.rows() * owing.weight.value.size() > worth_threads, [&](bool shared) {
    make_owed(owed, X.cols(), shared, [&](Index i) { return owed.must_not_wait(i) || used(i); });
    multiply(forward_product<T>(T(1), X, owing.weight.value, b, {}, {}, f, Y), false, shared);
  });
}

template <Real T>
void HostTraining<T>::catch_up(const Owing<T>& owing, const Optimizer& optimizer, const TrainingClock* clock) const {
  const OwedUpdates<T> owed(owing, optimizer, clock);
  const MatrixView<T>& W = owing.weight.value;
  by_threads(W.size() > worth_threads,
             [&](bool shared) { make_owed(owed, W.cols(), shared, [](Index) { return true; }); });
}

template <Real T>
Index HostTraining<T>::scratch_size(Index batch, Index out, Index in) const {
  return by_blas(batch, std::max(out, in)) ? threads() * kTrainingTile : 0;
}

template <Real T>
void HostTraining<T>::linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer,
                                      const TrainingClock* clock, std::span<T> scratch) const {
  for (const auto& view : {layer.dY, layer.X, layer.dH, layer.A}) require_rows(view);
  for (const auto& moment : {layer.weight.m, layer.weight.v})
    if (!moment.empty() && moment.order() != layer.weight.value.order())
      throw std::invalid_argument("training primitives: moments must lie in the order of their weights");
  const auto rule = rule_of<T>(optimizer, clock->step);
  const bool trained = !layer.weight.value.empty(), by_columns = layer.W.order() == Order::col_major;
  const bool blas = trained && by_blas(layer.dY.rows(), by_columns ? layer.X.cols() : layer.dY.cols());
  const bool together = trained && by_columns && !blas && !layer.dX.empty();
  if (layer.owed_since != nullptr && !together)
    throw std::invalid_argument("training primitives: updates wait in layers by columns with a dX and small batches");
  by_threads(layer.dY.rows() * layer.dY.cols() * layer.X.cols() > worth_threads, [&](bool shared) {
    if (together) return backward_by_columns<T>(layer, rule, clock->step, shared);
    // dX is made of W as it was before: the threads wait for one another between the two.
    if (!layer.dX.empty()) multiply<T>(input_gradient(layer), by_columns, shared);
    if (trained && !blas) update_by_kernels<T>(Following<T>(layer), rule, shared);
  });
  if (blas) update_by_blas<T>(Following<T>(layer), rule, scratch);
  if (trained) update_bias<T>(layer, rule);
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
