#pragma once

#include <lowrank/nn/forward_pass.hpp>

namespace lowrank {

/// What a step of training does to parameters, with all the memory it needs: made once, nothing is allocated in a step.
template <Real T>
class TrainingStep {
 public:
  /// mlp and adapter (nullptr: none) must outlive the step; `most` samples a batch at most.
  TrainingStep(const Mlp<T>& mlp, const LoraAdapter<T>* adapter, Index most);
  virtual ~TrainingStep() = default;

  MatrixView<T> inputs(Index n) { return pass_.inputs(n); }
  MatrixView<const T> forward(Index n) { return pass_.run(n); }
  /// Where the gradient with respect to the logits is to be put.
  MatrixView<T> logit_gradient(Index n) { return gradient(mlp_->depth() - 1, n); }
  /// The way back from logit_gradient(n): the parameters make their step number clock.step + 1.
  virtual void backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) = 0;
  /// Whether all that is trained is finite.
  virtual bool finite() const = 0;

 protected:
  /// With respect to what layer `layer` makes before its activation, [n, out].
  MatrixView<T> gradient(Index layer, Index n) {
    return gradients_[static_cast<std::size_t>(layer)].view().middle_rows(0, n);
  }
  const TrainingPrimitives<T>& device() const { return mlp_->device().template training<T>(); }
  void reserve_scratch(Index size) { wanted_ = std::max(wanted_, size); }
  std::span<T> scratch();

  const Mlp<T>* mlp_;
  ForwardPass<T> pass_;

 private:
  std::vector<Matrix<T>> gradients_;
  Matrix<T> scratch_;
  Index wanted_ = 0;
};

/// All parameters of a network are trained. As long as the step lives, weights beneath ReLU are held by columns where
/// the device gains by it; then they are by rows again.
template <Real T>
class FullStep final : public TrainingStep<T> {
 public:
  FullStep(Mlp<T>& mlp, Index most, UpdateRule rule);
  ~FullStep() override;
  FullStep(const FullStep&) = delete;
  FullStep& operator=(const FullStep&) = delete;
  void backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) override;
  bool finite() const override;

  /// Adam's moments, shaped and named as the layers; none for SGD.
  std::vector<Linear<T>>& m() { return m_; }
  std::vector<Linear<T>>& v() { return v_; }

 private:
  void hold_by_columns(Index most);

  Mlp<T>* trained_;
  std::vector<Matrix<T>> by_rows_;  // where the weights return to, of those that are held by columns
  std::vector<Linear<T>> m_, v_;
};

/// Only an adapter's A and B are trained. With H = s·X·Aᵀ and dH = s·dY·B: B follows dYᵀ·H, A follows dHᵀ·X, and
/// dX = dY·W + dH·A goes on to the layer below, down to the lowest adapted one.
template <Real T>
class LoraStep final : public TrainingStep<T> {
 public:
  LoraStep(const Mlp<T>& base, LoraAdapter<T>& adapter, Index most, UpdateRule rule);
  void backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) override;
  bool finite() const override;

 private:
  struct Moments {
    Matrix<T> m, v;
  };
  void follow(LoraLayer<T>& side, std::size_t layer, Index n, const Optimizer& optimizer, const TrainingClock* clock);

  LoraAdapter<T>* adapter_;
  Index lowest_;
  std::vector<Matrix<T>> side_gradients_;  // dH of each layer
  std::vector<Moments> of_A_, of_B_;       // of each layer, those of Bᵀ by rows
};

}  // namespace lowrank
