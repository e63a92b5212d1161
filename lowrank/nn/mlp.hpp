#pragma once

#include <lowrank/core/training.hpp>
#include <lowrank/nn/random_source.hpp>
#include <string>
#include <vector>

namespace lowrank {

/// y = W·x + b. The name is that of the torch module: its tensors are `<name>.weight` and `<name>.bias`.
template <Real T>
struct Linear {
  std::string name;
  Matrix<T> weight;  ///< [out, in], by rows; while it is trained it may lie by columns
  Matrix<T> bias;    ///< [out, 1]

  Index in() const { return weight.cols(); }
  Index out() const { return weight.rows(); }
  Index parameters() const { return weight.size() + bias.size(); }
};

/// A multilayer perceptron: linear layers with ReLU between them; the last layer's results are the logits. Moved, not
/// copied; share one by std::shared_ptr<const Mlp<T>>.
template <Real T>
class Mlp {
 public:
  /// sizes[0] inputs, sizes[1] units in the first layer, ... Layers are named linear1, linear2, ...; parameters are not
  /// set. Throws std::invalid_argument for fewer than two sizes or one below 1.
  explicit Mlp(const std::vector<Index>& sizes, Device& device = host_device());
  /// Throws std::invalid_argument when the shapes do not chain.
  explicit Mlp(std::vector<Linear<T>> layers);

  std::vector<Linear<T>>& layers() { return layers_; }
  const std::vector<Linear<T>>& layers() const { return layers_; }
  Index depth() const { return static_cast<Index>(layers_.size()); }
  Index inputs() const { return layers_.front().in(); }
  Index outputs() const { return layers_.back().out(); }
  std::vector<Index> sizes() const;
  Index parameters() const;
  Device& device() const { return layers_.front().weight.device(); }

  Mlp clone() const;

  /// 16 hexadecimal digits that change with any bit of any parameter, any name and any shape.
  std::string digest() const;

 private:
  std::vector<Linear<T>> layers_;
};

/// Draws weight, then bias, of each layer from U(-1/√in, 1/√in), as torch.nn.Linear does.
template <Real T>
void initialize(Mlp<T>& mlp, RandomSource& random);

/// The logits [n, outputs] of inputs X [n, inputs], both row-major.
template <Real T>
Matrix<T> logits(const Mlp<T>& mlp, MatrixView<const T> X);

}  // namespace lowrank
