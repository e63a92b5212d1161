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
  /// The logits of inputs(n), with the parameters after clock.step updates.
  virtual MatrixView<const T> forward(Index n, const Optimizer& optimizer, const TrainingClock* clock) = 0;
  /// Where the gradient with respect to the logits is to be put.
  MatrixView<T> logit_gradient(Index n) { return gradient(mlp_->depth() - 1, n); }
  /// The way back from logit_gradient(n): the parameters make their step number clock.step + 1.
  virtual void backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) = 0;
  /// Makes all updates that wait: belongs before anybody else reads the parameters.
  virtual void settle(const Optimizer& optimizer, const TrainingClock* clock) = 0;
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
/// the device gains by it; then they are by rows again. Between forward() and settle() updates may wait, see Owing.
template <Real T>
class FullStep final : public TrainingStep<T> {
 public:
  FullStep(Mlp<T>& mlp, Index most, UpdateRule rule);
  ~FullStep() override;
  FullStep(const FullStep&) = delete;
  FullStep& operator=(const FullStep&) = delete;
  MatrixView<const T> forward(Index n, const Optimizer& optimizer, const TrainingClock* clock) override;
  void backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) override;
  void settle(const Optimizer& optimizer, const TrainingClock* clock) override;
  bool finite() const override;

  /// Adam's moments, shaped and named as the layers; none for SGD.
  std::vector<Linear<T>>& m() { return m_; }
  std::vector<Linear<T>>& v() { return v_; }

 private:
  void hold_by_columns(Index most);
  void let_wait(Index most);
  bool waits(std::size_t layer) const;
  Owing<T> owing(std::size_t layer);

  Mlp<T>* trained_;
  std::vector<Matrix<T>> by_rows_;  // where the weights return to, of those that are held by columns
  std::vector<Linear<T>> m_, v_;
  std::vector<Buffer<std::int64_t>> owed_since_;  // of each layer, empty where no update waits
};

/// Only an adapter's A and B are trained. With H = s·X·Aᵀ and dH = s·dY·B: B follows dYᵀ·H, A follows dHᵀ·X, and
/// dX = dY·W + dH·A goes on to the layer below, down to the lowest adapted one.
template <Real T>
class LoraStep final : public TrainingStep<T> {
 public:
  LoraStep(const Mlp<T>& base, LoraAdapter<T>& adapter, Index most, UpdateRule rule);
  MatrixView<const T> forward(Index n, const Optimizer&, const TrainingClock*) override { return this->pass_.run(n); }
  void backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) override;
  void settle(const Optimizer&, const TrainingClock*) override {}
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
