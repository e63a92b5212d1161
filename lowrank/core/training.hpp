#pragma once

#include <cstdint>
#include <lowrank/core/matrix.hpp>
#include <span>
#include <stdexcept>

/// The training primitives: what a network's training does to its matrices, beside primitives.hpp. The work is done by
/// the device that the matrices live on. Everything that changes from step to step (the step counter, the order of the
/// samples, the losses) lives on the device, so that a device may run many steps without the host.
///
/// Shapes: weights [out, in] by rows, biases [out, 1], batches by rows: X [batch, in], Y [batch, out]. Views must be
/// row-major (a column-major view is passed transposed); weights may be column-major where gains_by_columns() says so.
/// No function allocates: scratch memory is handed in.

namespace lowrank {

enum class UpdateRule { sgd, adam };

/// How parameters follow their gradient g. SGD: p -= lr·g. Adam (Kingma and Ba 2015, in PyTorch's order of operations),
/// step t = 1, 2, ...: m += (g - m)(1 - β₁); v = β₂·v + (1 - β₂)·g²; p -= lr/(1 - β₁ᵗ)·m/(√v/√(1 - β₂ᵗ) + ε).
struct Optimizer {
  UpdateRule rule = UpdateRule::adam;
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
};

/// What is applied to X·Wᵀ + b.
enum class Activation { identity, relu };

/// Parameters with Adam's moments, which have the parameters' shape and start at zero; empty for SGD.
template <Real T>
struct Trained {
  MatrixView<T> value, m, v;
};

/// Column-major weights whose updates by Adam may wait. A column i for which X(:, i) is zero has no gradient, and
/// nobody reads it until a batch uses it: with `owed_since`, linear_backward leaves it as it is and notes the clock's
/// step in owed_since[i], which is -1 for a column that owes nothing. Made later, in one sweep, the updates are the
/// same to the bit.
template <Real T>
struct Owing {
  Trained<T> weight;
  std::int64_t* since = nullptr;  ///< [in]
};

/// How far training is: `step` updates were made, the next batch begins at place `next` of the order of samples.
struct TrainingClock {
  std::int64_t step = 0, next = 0;
};

/// Grey images as bytes, one a row, with the factor and the shift that make numbers of them: (byte/255 -
/// mean)/deviation.
struct ByteImages {
  const std::uint8_t* pixels = nullptr;  ///< [count, features] by rows
  const std::uint8_t* labels = nullptr;  ///< [count]
  Index count = 0, features = 0;
  double mean = 0, deviation = 1;
};

/// One layer's way back. With `dY` [batch, out] the gradient of the loss with respect to the layer's result before its
/// activation: dX = (dY·W + dH·A) ∘ f'(X), where W is as it was before this call, and, where `weight` is set,
/// W follows dYᵀ·X and b follows the column sums of dY.
template <Real T>
struct LinearBackward {
  MatrixView<const T> dY;               ///< [batch, out]
  MatrixView<const T> X;                ///< [batch, in], the layer's input
  MatrixView<const T> W;                ///< [out, in]; the same memory as weight.value where that is set
  Trained<T> weight{}, bias{};          ///< [out, in], [out, 1]; empty for a frozen layer
  MatrixView<const T> dH{}, A{};        ///< [batch, r], [r, in]: the way back through a side branch; empty without one
  MatrixView<T> dX{};                   ///< [batch, in]; empty when not wanted
  Activation input = Activation::relu;  ///< of the layer that made X: relu zeroes dX where X is zero
  std::int64_t* owed_since = nullptr;   ///< see Owing; nullptr: no update waits. Needs dX
};

/// What a device implements, once for float and once for double.
template <Real T>
class TrainingPrimitives {
 public:
  virtual ~TrainingPrimitives() = default;

  /// clock.step += 1, clock.next += batch.
  virtual void advance(TrainingClock* clock, Index batch) const = 0;

  /// X(i, :) = image order[clock.next + i], as numbers; labels[i] its label. X has the batch's rows.
  virtual void gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock, MatrixView<T> X,
                      std::int32_t* labels) const = 0;

  /// Y = f(alpha·X·Wᵀ + b + H·Bᵀ); b [out, 1], H [batch, r] and B [r, out] (by rows, so transposed) may be empty.
  /// 2·batch·out·in flops; W is read once where the batch is small. Zeros of X cost nothing where W is column-major.
  virtual void linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                              MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) const = 0;

  /// Whether a column-major W [out, in], with its moments in the same order, makes a layer faster whose X, of up to
  /// `batch` samples, comes from ReLU.
  virtual bool gains_by_columns([[maybe_unused]] Index batch, [[maybe_unused]] Index out) const { return false; }

  /// Whether a layer with column-major weights gains by letting Adam's updates wait, see Owing.
  virtual bool gains_by_waiting([[maybe_unused]] Index batch) const { return false; }

  /// Y = f(X·Wᵀ + b) with weights that are owing, after those updates were made that X needs, and those that have
  /// waited for long: the way forward of a training step. Throws std::logic_error on a device that does not gain by
  /// waiting.
  virtual void owing_forward([[maybe_unused]] MatrixView<const T> X, [[maybe_unused]] const Owing<T>& owing,
                             [[maybe_unused]] const Optimizer& optimizer, [[maybe_unused]] const TrainingClock* clock,
                             [[maybe_unused]] MatrixView<const T> b, [[maybe_unused]] Activation f,
                             [[maybe_unused]] MatrixView<T> Y) const {
    throw std::logic_error("owing_forward: no update waits on this device");
  }

  /// Makes all updates that are owed. Throws std::logic_error on a device that does not gain by waiting.
  virtual void catch_up([[maybe_unused]] const Owing<T>& owing, [[maybe_unused]] const Optimizer& optimizer,
                        [[maybe_unused]] const TrainingClock* clock) const {
    throw std::logic_error("catch_up: no update waits on this device");
  }

  /// Scalars of T that linear_backward and update need as scratch for this shape.
  virtual Index scratch_size(Index batch, Index out, Index in) const = 0;

  /// See LinearBackward. For small batches one sweep reads and writes W, m and v once, after one that reads W for dX
  /// (where W is column-major the same one); the gradient of W exists only in registers, and zeros of dY cost nothing
  /// (where W is column-major those of X). 4·batch·out·in flops at most.
  virtual void linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer, const TrainingClock* clock,
                               std::span<T> scratch) const = 0;

  /// Parameters [p, q] follow the gradient Lᵀ·R, L [batch, p], R [batch, q], likewise without forming it.
  virtual void update(MatrixView<const T> L, MatrixView<const T> R, const Trained<T>& parameters,
                      const Optimizer& optimizer, const TrainingClock* clock, std::span<T> scratch) const = 0;

  /// The mean over the batch of logsumexp(logits(i, :)) - logits(i, labels[i]), written to losses[clock.step mod
  /// capacity], and its gradient with respect to the logits (softmax - one-hot)/batch. `gradient` may be empty.
  virtual void softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, MatrixView<T> gradient,
                                     T* losses, Index capacity, const TrainingClock* clock) const = 0;

  /// wrong[c] += samples of class c whose largest logit (the first of equals; NaN counts as wrong) is another.
  virtual void count_wrong(MatrixView<const T> logits, const std::int32_t* labels, std::int64_t* wrong) const = 0;
};

/// An array on a device, of anything that can be copied byte by byte.
template <class U>
class Buffer {
  static_assert(std::is_trivially_copyable_v<U>);

 public:
  Buffer() = default;
  Buffer(Index size, Device& device)
      : memory_(device.allocate(checked_product(size, sizeof(U)))), size_(size), device_(&device) {}
  Buffer(std::span<const U> host, Device& device) : Buffer(static_cast<Index>(host.size()), device) { upload(host); }

  U* data() { return static_cast<U*>(memory_.get()); }
  const U* data() const { return static_cast<const U*>(memory_.get()); }
  Index size() const { return size_; }

  /// Copies from or to the host, from the array's beginning.
  void upload(std::span<const U> host) {
    if (!host.empty()) device_->upload(host.data(), data(), {static_cast<Index>(host.size_bytes())});
  }
  void download(std::span<U> host) const {
    if (!host.empty()) device_->download(data(), host.data(), {static_cast<Index>(host.size_bytes())});
  }

 private:
  std::shared_ptr<void> memory_;
  Index size_ = 0;
  Device* device_ = nullptr;
};

}  // namespace lowrank
