#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <lowrank/cuda/cuda_device.hpp>
#include <stdexcept>

namespace lowrank::cuda {
namespace {

static_assert(sizeof(Clock) == sizeof(TrainingClock) && offsetof(Clock, step) == offsetof(TrainingClock, step) &&
              offsetof(Clock, next) == offsetof(TrainingClock, next));
const Clock* raw(const TrainingClock* clock) { return reinterpret_cast<const Clock*>(clock); }

/// A view for the kernels; nullptr for an empty one. One row or column counts as row-major where its stride allows.
template <class T>
Rows<T> rows(const MatrixView<T>& X) {
  if (X.empty()) return {nullptr, 0};
  if (X.order() == Order::row_major) return {X.data(), X.ld()};
  throw std::invalid_argument("training primitives: a view must be row-major");
}

/// A vector [out, 1] of either order, by its stride.
template <class T>
Rows<T> entries(const MatrixView<T>& b) {
  if (b.empty()) return {nullptr, 0};
  return {b.data(), b.order() == Order::row_major ? b.ld() : 1};
}

template <Real T>
Following<T> matrix(const Trained<T>& of) {
  return {rows(of.value), rows(of.m), rows(of.v)};
}

template <Real T>
Following<T> vector(const Trained<T>& of) {
  return {entries(of.value), entries(of.m), entries(of.v)};
}

OptimizerRule rule(const Optimizer& o) { return {o.rule == UpdateRule::adam, o.lr, o.beta1, o.beta2, o.epsilon}; }

/// Rows of a gradient that are formed at once: 16 MiB, so that the optimizer finds them in the second cache.
template <Real T>
Index rows_at_once(Index out, Index in) {
  constexpr Index most = (Index{16} << 20) / static_cast<Index>(sizeof(T));
  return std::clamp<Index>(most / std::max<Index>(in, 1), 1, std::max<Index>(out, 1));
}

}  // namespace

template <Real T>
Context& CudaTraining<T>::context() const {
  return device_.context();
}

template <Real T>
void CudaTraining<T>::advance(TrainingClock* clock, Index batch) const {
  context().run("advance", [&] {
    context().check(cuda::advance(reinterpret_cast<Clock*>(clock), batch, context().stream()), "advance");
  });
}

template <Real T>
void CudaTraining<T>::gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock,
                             MatrixView<T> X, std::int32_t* labels) const {
  if (X.rows() == 0) return;
  context().run("gather", [&] {
    context().check(cuda::gather<T>(images.pixels, images.labels, images.features, static_cast<float>(images.mean),
                                    static_cast<float>(images.deviation), order, raw(clock), X.rows(), rows(X), labels,
                                    context().stream()),
                    "gather");
  });
}

template <Real T>
void CudaTraining<T>::linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                                     MatrixView<const T> H, MatrixView<const T> B, Activation f,
                                     MatrixView<T> Y) const {
  if (Y.empty()) return;
  const ForwardWork<T> work{.batch = X.rows(),
                            .in = X.cols(),
                            .out = W.rows(),
                            .rank = H.empty() ? 0 : H.cols(),
                            .alpha = alpha,
                            .X = rows(X),
                            .W = rows(W),
                            .bias = b.empty() ? nullptr : b.data(),
                            .bias_step = entries(b).ld,
                            .H = rows(H),
                            .B = rows(B),
                            .relu = f == Activation::relu,
                            .Y = rows(Y)};
  context().run("linear_forward", [&] {
    if (work.batch <= skinny_batch) return context().check(cuda::forward(work, context().stream()), "forward");
    gemm<T>(context(), alpha, X, W.transposed(), T(0), Y);
    if (work.rank > 0) gemm<T>(context(), T(1), H, B, T(1), Y);
    if (work.bias != nullptr || work.relu)
      context().check(cuda::finish_forward(work, context().stream()), "bias and activation");
  });
}

template <Real T>
Index CudaTraining<T>::scratch_size(Index batch, Index out, Index in) const {
  // What fits a batch fits every smaller one: the last batch of an epoch goes another way than the others.
  const Index parts = most_parts * std::min<Index>(batch, skinny_batch) * in;
  return batch <= fused_batch ? parts : std::max(parts, rows_at_once<T>(out, in) * in);
}

template <Real T>
void CudaTraining<T>::linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer,
                                      const TrainingClock* clock, std::span<T> scratch) const {
  // The stream keeps the order: dX is made of W as it was before.
  context().run("linear_backward", [&] {
    if (!layer.dX.empty()) input_gradient(layer, scratch);
    follow(layer, optimizer, clock, scratch);
  });
}

template <Real T>
void CudaTraining<T>::input_gradient(const LinearBackward<T>& layer, std::span<T> scratch) const {
  const InputGradient<T> work{.batch = layer.dY.rows(),
                              .in = layer.dX.cols(),
                              .out = layer.dY.cols(),
                              .rank = layer.dH.empty() ? 0 : layer.dH.cols(),
                              .dY = rows(layer.dY),
                              .W = rows(layer.W),
                              .dH = rows(layer.dH),
                              .A = rows(layer.A),
                              .mask = layer.input == Activation::relu ? rows(layer.X) : Rows<const T>{nullptr, 0},
                              .dX = rows(layer.dX)};
  if (work.batch <= skinny_batch) {
    const Index parts = input_gradient_parts(work.batch, work.out, work.in);
    if (parts > 1 && parts * work.batch * work.in > static_cast<Index>(scratch.size()))
      throw std::invalid_argument(fmt::format("linear_backward: scratch of {} numbers is too small", scratch.size()));
    return context().check(cuda::input_gradient(work, parts, scratch.data(), context().stream()), "input gradient");
  }
  gemm<T>(context(), T(1), layer.dY, layer.W, T(0), layer.dX);
  if (work.rank == 0 && work.mask.data == nullptr) return;
  // The branch of rank r is added by the kernel that masks: r is small.
  context().check(cuda::apply_mask(work, context().stream()), "mask");
}

template <Real T>
void CudaTraining<T>::follow(const LinearBackward<T>& layer, const Optimizer& optimizer, const TrainingClock* clock,
                             std::span<T> scratch) const {
  const Index batch = layer.dY.rows(), out = layer.dY.cols(), in = layer.X.cols();
  const OptimizerRule how = rule(optimizer);
  const Following<T> W = matrix(layer.weight), b = vector(layer.bias);
  const cudaStream_t stream = context().stream();
  if (W.p.data != nullptr && batch <= fused_batch) {
    const SweepWork<T> work{batch, out, in, rows(layer.dY), rows(layer.X), W, b};
    return context().check(cuda::sweep(work, how, raw(clock), stream), "sweep over the weights");
  }
  if (W.p.data != nullptr) {
    const Index height = rows_at_once<T>(out, in);
    if (height * in > static_cast<Index>(scratch.size()))
      throw std::invalid_argument(fmt::format("linear_backward: scratch of {} numbers is too small", scratch.size()));
    for (Index first = 0; first < out; first += height) {
      const Index count = std::min(height, out - first);
      const MatrixView<T> G(scratch.data(), count, in, in, Order::row_major, device_);
      gemm<T>(context(), T(1), layer.dY.middle_cols(first, count).transposed(), layer.X, T(0), G);
      const auto part = [&](const Rows<T>& of) -> Rows<T> {
        return of.data == nullptr ? of : Rows<T>{of.data + first * of.ld, of.ld};
      };
      context().check(
          cuda::follow<T>({G.data(), in}, count, in, {part(W.p), part(W.m), part(W.v)}, how, raw(clock), stream),
          "follow");
    }
  }
  if (b.p.data != nullptr)
    context().check(cuda::follow_bias<T>(batch, out, rows(layer.dY), b, how, raw(clock), stream), "bias");
}

template <Real T>
void CudaTraining<T>::update(MatrixView<const T> L, MatrixView<const T> R, const Trained<T>& parameters,
                             const Optimizer& optimizer, const TrainingClock* clock, std::span<T> scratch) const {
  LinearBackward<T> layer;
  layer.dY = L;
  layer.X = R;
  layer.W = parameters.value;
  layer.weight = parameters;
  linear_backward(layer, optimizer, clock, scratch);
}

template <Real T>
void CudaTraining<T>::softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels,
                                            MatrixView<T> gradient, T* losses, Index capacity,
                                            const TrainingClock* clock) const {
  context().run("softmax_cross_entropy", [&] {
    context().check(cuda::softmax_cross_entropy<T>(logits.rows(), logits.cols(), rows(logits), labels, rows(gradient),
                                                   losses, capacity, raw(clock), context().stream()),
                    "softmax_cross_entropy");
  });
}

template <Real T>
void CudaTraining<T>::count_wrong(MatrixView<const T> logits, const std::int32_t* labels, std::int64_t* wrong) const {
  if (logits.rows() == 0) return;
  context().run("count_wrong", [&] {
    context().check(cuda::count_wrong<T>(logits.rows(), logits.cols(), rows(logits), labels,
                                         reinterpret_cast<unsigned long long*>(wrong), context().stream()),
                    "count_wrong");
  });
}

template class CudaTraining<float>;
template class CudaTraining<double>;

}  // namespace lowrank::cuda
