#include <lowrank/core/primitives.hpp>
#include <lowrank/nn/forward_pass.hpp>
#include <lowrank/nn/storage.hpp>

namespace lowrank {

template <Real T>
ForwardPass<T>::ForwardPass(const Mlp<T>& mlp, const LoraAdapter<T>* adapter, Index most)
    : mlp_(&mlp), adapter_(adapter) {
  const std::vector<Index> sizes = mlp.sizes();
  for (Index l = 0; l < mlp.depth(); ++l) {
    const Linear<T>& layer = mlp.layers()[static_cast<std::size_t>(l)];
    if (layer.in() != sizes[static_cast<std::size_t>(l)] || layer.bias.size() != layer.out())
      throw std::invalid_argument("the layer " + layer.name + " does not fit the one before it, or its own bias");
  }
  if (adapter != nullptr) adapter->check_shapes(mlp);
  for (const Index size : sizes) values_.push_back(padded_rows<T>(most, size, mlp.device()));
  for (Index l = 0; l < mlp.depth(); ++l) {
    const LoraLayer<T>* side = adapter == nullptr ? nullptr : adapter->of_layer(l);
    sides_.push_back(
        padded_rows<T>(side == nullptr ? 0 : most, side == nullptr ? 0 : side->directions(), mlp.device()));
  }
}

template <Real T>
void ForwardPass<T>::freeze() {
  Device& device = mlp_->device();
  for (Index l = 0; l < mlp_->depth(); ++l) {
    const Matrix<T>& W = mlp_->layers()[static_cast<std::size_t>(l)].weight;
    // Entries that are not finite must meet the zeros too.
    const bool gains =
        l > 0 && device.template training<T>().gains_by_columns(most(), W.rows()) && !first_nonfinite<T>(W);
    frozen_.push_back(gains ? padded_rows<T>(W.cols(), W.rows(), device) : Matrix<T>());
    if (gains) copy<T>(W.view().transposed(), frozen_.back());
  }
}

template <Real T>
void ForwardPass<T>::run_layer(Index l, Index n) {
  const TrainingPrimitives<T>& device = mlp_->device().template training<T>();
  const auto layer = static_cast<std::size_t>(l);
  const Linear<T>& linear = mlp_->layers()[layer];
  const MatrixView<const T> X = inputs_of(l, n), W = weights_of(l);
  const MatrixView<T> Y = outputs_of(l, n);
  const Activation f = activation(l);
  const LoraLayer<T>* side = adapter_ == nullptr ? nullptr : adapter_->of_layer(l);
  if (side == nullptr) return device.linear_forward(T(1), X, W, linear.bias, {}, {}, f, Y);
  const MatrixView<T> H = sides_[layer].view().middle_rows(0, n);
  device.linear_forward(static_cast<T>(side->scale), X, side->A, {}, {}, {}, Activation::identity, H);
  device.linear_forward(T(1), X, W, linear.bias, H, side->B.view().transposed(), f, Y);
}

template <Real T>
MatrixView<const T> ForwardPass<T>::run(Index n) {
  for (Index l = 0; l < mlp_->depth(); ++l) run_layer(l, n);
  return inputs_of(mlp_->depth(), n);
}

template <Real T>
Matrix<T> logits(const Mlp<T>& base, const LoraAdapter<T>* adapter, MatrixView<const T> X) {
  if (X.cols() != base.inputs())
    throw std::invalid_argument("logits: the samples have " + std::to_string(X.cols()) +
                                " features, but the network has " + std::to_string(base.inputs()) + " inputs");
  const Index most = std::min<Index>(256, X.rows());
  ForwardPass<T> pass(base, adapter, most);
  Matrix<T> result(X.rows(), base.outputs(), Order::row_major, base.device());
  for (Index first = 0; first < X.rows(); first += most) {
    const Index n = std::min(most, X.rows() - first);
    copy<T>(X.middle_rows(first, n), pass.inputs(n));
    copy<T>(pass.run(n), result.view().middle_rows(first, n));
  }
  return result;
}

template <Real T>
Matrix<T> logits(const Mlp<T>& mlp, MatrixView<const T> X) {
  return logits<T>(mlp, nullptr, X);
}

#define LOWRANK_INSTANTIATE(T)                                                             \
  template class ForwardPass<T>;                                                           \
  template Matrix<T> logits<T>(const Mlp<T>&, const LoraAdapter<T>*, MatrixView<const T>); \
  template Matrix<T> logits<T>(const Mlp<T>&, MatrixView<const T>);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
