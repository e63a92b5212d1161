#pragma once

#include <lowrank/nn/lora.hpp>

namespace lowrank {

/// The way forward through a network, with memory for batches of up to `most` samples: made once, run often without
/// allocating.
template <Real T>
class ForwardPass {
 public:
  /// Network and adapter (nullptr: none) must outlive the pass.
  ForwardPass(const Mlp<T>& mlp, const LoraAdapter<T>* adapter, Index most);

  /// From now on the weights are not changed: where the device gains by it, those beneath ReLU are held by columns too.
  void freeze();

  Index most() const { return values_.front().rows(); }
  /// Where the first n inputs of a batch are to be put.
  MatrixView<T> inputs(Index n) { return values_.front().view().middle_rows(0, n); }
  /// The logits of inputs(n).
  MatrixView<const T> run(Index n);
  /// One layer of a run, after those below, and what it is made of.
  void run_layer(Index layer, Index n);
  MatrixView<T> outputs_of(Index layer, Index n) {
    return values_[static_cast<std::size_t>(layer) + 1].view().middle_rows(0, n);
  }
  Activation activation(Index layer) const {
    return layer + 1 < mlp_->depth() ? Activation::relu : Activation::identity;
  }

  /// The weights of layer `layer` in the order that they are read in.
  MatrixView<const T> weights_of(Index layer) const {
    const auto l = static_cast<std::size_t>(layer);
    if (frozen_.empty() || frozen_[l].empty()) return mlp_->layers()[l].weight;
    return frozen_[l].view().transposed();
  }
  /// What layer `layer` was given, and s·A·x of its adapter, in the last run of n.
  MatrixView<const T> inputs_of(Index layer, Index n) const { return at(values_, layer, n); }
  MatrixView<const T> side_of(Index layer, Index n) const { return at(sides_, layer, n); }

 private:
  static MatrixView<const T> at(const std::vector<Matrix<T>>& all, Index i, Index n) {
    return all[static_cast<std::size_t>(i)].view().middle_rows(0, n);
  }

  const Mlp<T>* mlp_;
  const LoraAdapter<T>* adapter_;
  std::vector<Matrix<T>> values_;  // inputs of each layer, and the logits
  std::vector<Matrix<T>> sides_;   // [most, directions]; empty for a layer without adapter
  std::vector<Matrix<T>> frozen_;  // of each layer Wᵀ by rows, or nothing; none before freeze()
};

}  // namespace lowrank
