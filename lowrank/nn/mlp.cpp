#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cmath>
#include <lowrank/core/primitives.hpp>
#include <lowrank/nn/mlp.hpp>
#include <lowrank/nn/storage.hpp>
#include <stdexcept>

namespace lowrank {

template <Real T>
Mlp<T>::Mlp(const std::vector<Index>& sizes, Device& device) {
  bool usable = sizes.size() >= 2;
  for (const Index size : sizes) usable = usable && size >= 1;
  if (!usable)
    throw std::invalid_argument(
        fmt::format("Mlp: layer sizes [{}]: at least two, each at least 1", fmt::join(sizes, ", ")));
  for (std::size_t l = 1; l < sizes.size(); ++l)
    layers_.push_back(
        {fmt::format("linear{}", l), padded_rows<T>(sizes[l], sizes[l - 1], device), Matrix<T>(sizes[l], 1, device)});
}

template <Real T>
Mlp<T>::Mlp(std::vector<Linear<T>> layers) : layers_(std::move(layers)) {
  if (layers_.empty()) throw std::invalid_argument("Mlp: no layers");
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Linear<T>& layer = layers_[l];
    if (layer.bias.rows() != layer.out() || layer.bias.cols() != 1)
      throw std::invalid_argument(
          fmt::format("Mlp: {} has {} outputs and {} biases", layer.name, layer.out(), layer.bias.size()));
    if (layer.weight.order() != Order::row_major || layer.in() < 1 || layer.out() < 1)
      throw std::invalid_argument(fmt::format("Mlp: the weights of {} must be row-major and not empty", layer.name));
    if (l > 0 && layers_[l - 1].out() != layer.in())
      throw std::invalid_argument(fmt::format("Mlp: {} has {} outputs, but {} has {} inputs", layers_[l - 1].name,
                                              layers_[l - 1].out(), layer.name, layer.in()));
  }
}

template <Real T>
std::vector<Index> Mlp<T>::sizes() const {
  std::vector<Index> sizes{inputs()};
  for (const Linear<T>& layer : layers_) sizes.push_back(layer.out());
  return sizes;
}

template <Real T>
Index Mlp<T>::parameters() const {
  Index count = 0;
  for (const Linear<T>& layer : layers_) count += layer.parameters();
  return count;
}

template <Real T>
Mlp<T> Mlp<T>::clone() const {
  Mlp copied(sizes(), device());
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    copied.layers_[l].name = layers_[l].name;
    copy<T>(layers_[l].weight, copied.layers_[l].weight);
    copy<T>(layers_[l].bias, copied.layers_[l].bias);
  }
  return copied;
}

template <Real T>
std::string Mlp<T>::digest() const {
  Digest digest;
  for (const Linear<T>& layer : layers_) {
    digest.add(layer.name.data(), static_cast<Index>(layer.name.size()));
    for (const Matrix<T>* tensor : {&layer.weight, &layer.bias}) {
      const Matrix<T> host = to_host<T>(*tensor);
      digest.add_value(host.rows());
      digest.add_value(host.cols());
      digest.add(host.data(), host.size() * static_cast<Index>(sizeof(T)));
    }
  }
  return digest.text();
}

template <Real T>
void initialize(Mlp<T>& mlp, RandomSource& random) {
  std::vector<T> values;
  for (Linear<T>& layer : mlp.layers()) {
    const T bound = static_cast<T>(1 / std::sqrt(static_cast<double>(layer.in())));
    for (Matrix<T>* tensor : {&layer.weight, &layer.bias}) {
      values.resize(static_cast<std::size_t>(tensor->size()));
      random.uniform(std::span<T>(values), -bound, bound);
      from_host<T>(values.data(), *tensor);
    }
  }
}

template class Mlp<float>;
template class Mlp<double>;
template void initialize<float>(Mlp<float>&, RandomSource&);
template void initialize<double>(Mlp<double>&, RandomSource&);

}  // namespace lowrank
