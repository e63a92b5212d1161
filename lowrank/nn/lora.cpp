#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <lowrank/core/error.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/nn/lora.hpp>
#include <lowrank/nn/storage.hpp>
#include <lowrank/svd/svd.hpp>
#include <stdexcept>

namespace lowrank {
namespace {

constexpr LoraInit all_inits[] = {LoraInit::gaussian, LoraInit::kaiming, LoraInit::pissa};

double scale_for(LoraScaling scaling, double alpha, Index rank) {
  const double r = static_cast<double>(rank);
  return alpha / (scaling == LoraScaling::standard ? r : std::sqrt(r));
}

/// Places of the layers to adapt, in the base's order.
template <Real T>
std::vector<Index> chosen_layers(const Mlp<T>& base, const std::vector<std::string>& names) {
  std::vector<Index> chosen;
  std::vector<std::string> known;
  for (Index l = 0; l < base.depth(); ++l) {
    known.push_back(base.layers()[static_cast<std::size_t>(l)].name);
    const auto times = std::count(names.begin(), names.end(), known.back());
    if (times > 1) throw std::invalid_argument(fmt::format("LoRA: the layer {} is named twice", known.back()));
    if (names.empty() || times == 1) chosen.push_back(l);
  }
  for (const std::string& name : names)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw std::invalid_argument(
          fmt::format("LoRA: there is no layer {} (there are {})", name, fmt::join(known, ", ")));
  return chosen;
}

/// A and B of rank r with random A and zero B.
template <Real T>
void draw(LoraLayer<T>& layer, LoraInit init, RandomSource& random) {
  std::vector<T> values(static_cast<std::size_t>(layer.A.size()));
  if (init == LoraInit::gaussian) {
    random.normal(std::span<T>(values));
  } else {
    const T bound = static_cast<T>(1 / std::sqrt(static_cast<double>(layer.A.cols())));
    random.uniform(std::span<T>(values), -bound, bound);
  }
  from_host<T>(values.data(), layer.A);
  fill<T>(layer.B, T(0));
}

/// Trained directions of s·B·A = U·S·Vᵀ, then the same ones fixed with the other sign.
template <Real T>
void take_leading(LoraLayer<T>& layer, const Matrix<T>& weight, std::uint64_t seed) {
  const Index r = layer.trained;
  SvdOptions options;
  options.seed = seed;
  const Svd<T> svd = truncated_svd<T>(as_operator(weight), Truncation{.rank = r}, options);
  std::vector<double> roots, opposite;
  for (const T s : svd.S) {
    roots.push_back(static_cast<T>(std::sqrt(static_cast<double>(s) / layer.scale)));
    opposite.push_back(-roots.back());
  }
  for (const auto& [first, by_B] : {std::pair(Index{0}, roots), std::pair(r, opposite)}) {
    const MatrixView<T> At = layer.A.view().transposed().middle_cols(first, r),
                        B = layer.B.view().middle_cols(first, r);
    copy<T>(svd.V, At);
    copy<T>(svd.U, B);
    scale_columns<T>(At, roots);
    scale_columns<T>(B, by_B);
  }
}

}  // namespace

std::string_view name(LoraInit init) {
  switch (init) {
    case LoraInit::gaussian:
      return "gaussian";
    case LoraInit::kaiming:
      return "kaiming";
    default:
      return "pissa";
  }
}

LoraInit lora_init(std::string_view text) {
  for (const LoraInit init : all_inits)
    if (name(init) == text) return init;
  throw std::invalid_argument(fmt::format("the initialization '{}' is none of gaussian, kaiming, pissa", text));
}

template <Real T>
LoraAdapter<T>::LoraAdapter(const Mlp<T>& base, const LoraOptions& options, RandomSource& random)
    : rank_(options.rank), alpha_(options.alpha), scaling_(options.scaling), init_(options.init) {
  if (options.rank < 1) throw std::invalid_argument(fmt::format("LoRA: rank {}", options.rank));
  if (!std::isfinite(options.alpha) || options.alpha <= 0)
    throw std::invalid_argument(fmt::format("LoRA: alpha {} is not a positive number", options.alpha));
  const std::vector<Index> chosen = chosen_layers(base, options.layers);
  for (const Index l : chosen) {
    const Linear<T>& linear = base.layers()[static_cast<std::size_t>(l)];
    if (options.rank > std::min(linear.in(), linear.out()))
      throw std::invalid_argument(fmt::format("LoRA: rank {} is above the smaller side of {} ({} x {})", options.rank,
                                              linear.name, linear.out(), linear.in()));
  }
  base_digest_ = base.digest();
  const Index directions = options.init == LoraInit::pissa ? 2 * options.rank : options.rank;
  for (const Index l : chosen) {
    const Linear<T>& linear = base.layers()[static_cast<std::size_t>(l)];
    LoraLayer<T> layer{l,
                       linear.name,
                       padded_rows<T>(directions, linear.in(), base.device()),
                       Matrix<T>(linear.out(), directions, base.device()),
                       options.rank,
                       scale()};
    if (options.init == LoraInit::pissa)
      take_leading(layer, linear.weight, options.seed);
    else
      draw(layer, options.init, random);
    layers_.push_back(std::move(layer));
  }
}

template <Real T>
LoraAdapter<T>::LoraAdapter(std::vector<LoraLayer<T>> layers, Index rank, double alpha, LoraScaling scaling,
                            LoraInit init, std::string base_digest)
    : layers_(std::move(layers)),
      rank_(rank),
      alpha_(alpha),
      scaling_(scaling),
      init_(init),
      base_digest_(std::move(base_digest)) {
  for (const LoraLayer<T>& layer : layers_) {
    if (layer.A.rows() != layer.B.cols() || layer.trained < 0 || layer.trained > layer.directions())
      throw std::invalid_argument(fmt::format("LoRA: {} has A of {} rows, B of {} columns, {} of them trained",
                                              layer.name, layer.A.rows(), layer.B.cols(), layer.trained));
    if (std::count_if(layers_.begin(), layers_.end(), [&](const auto& each) { return each.layer == layer.layer; }) > 1)
      throw std::invalid_argument(fmt::format("LoRA: {} is there twice", layer.name));
    if (layer.A.order() != Order::row_major || layer.B.order() != Order::col_major)
      throw std::invalid_argument(fmt::format("LoRA: A of {} must be row-major and B column-major", layer.name));
  }
}

template <Real T>
const LoraLayer<T>* LoraAdapter<T>::of_layer(Index layer) const {
  for (const LoraLayer<T>& each : layers_)
    if (each.layer == layer) return &each;
  return nullptr;
}

template <Real T>
LoraLayer<T>* LoraAdapter<T>::of_layer(Index layer) {
  return const_cast<LoraLayer<T>*>(std::as_const(*this).of_layer(layer));
}

template <Real T>
double LoraAdapter<T>::scale() const {
  return scale_for(scaling_, alpha_, rank_);
}

template <Real T>
Index LoraAdapter<T>::trainable_parameters() const {
  Index count = 0;
  for (const LoraLayer<T>& layer : layers_) count += layer.trainable_parameters();
  return count;
}

template <Real T>
void LoraAdapter<T>::check_shapes(const Mlp<T>& base) const {
  for (const LoraLayer<T>& layer : layers_) {
    if (layer.layer < 0 || layer.layer >= base.depth() ||
        base.layers()[static_cast<std::size_t>(layer.layer)].name != layer.name)
      throw Error(
          fmt::format("the adapter is for another base: it adapts {}, which the network does not have", layer.name));
    const Linear<T>& linear = base.layers()[static_cast<std::size_t>(layer.layer)];
    if (layer.B.rows() != linear.out() || layer.A.cols() != linear.in())
      throw Error(fmt::format("the adapter is for another base: its {} is {} x {}, the network's is {} x {}",
                              layer.name, layer.B.rows(), layer.A.cols(), linear.out(), linear.in()));
  }
}

template <Real T>
void LoraAdapter<T>::check_base(const Mlp<T>& base) const {
  check_shapes(base);
  if (base_digest_.empty()) return;
  if (const std::string digest = base.digest(); digest != base_digest_)
    throw Error(
        fmt::format("the adapter is for another base: it was made for weights with the digest {}, these have {}",
                    base_digest_, digest));
}

template <Real T>
static void add_branches(Mlp<T>& mlp, const LoraAdapter<T>& adapter, double sign) {
  for (const LoraLayer<T>& layer : adapter.layers())
    multiply<T>(static_cast<T>(sign * layer.scale), layer.B, layer.A, T(1),
                mlp.layers()[static_cast<std::size_t>(layer.layer)].weight);
}

template <Real T>
void merge(Mlp<T>& mlp, const LoraAdapter<T>& adapter) {
  adapter.check_base(mlp);
  add_branches(mlp, adapter, 1);
}

template <Real T>
void unmerge(Mlp<T>& mlp, const LoraAdapter<T>& adapter) {
  adapter.check_shapes(mlp);
  add_branches(mlp, adapter, -1);
}

template <Real T>
AdaptedMlp<T>::AdaptedMlp(std::shared_ptr<const Mlp<T>> base) : base_(std::move(base)) {
  if (base_ == nullptr) throw std::invalid_argument("AdaptedMlp: no base");
}

template <Real T>
void AdaptedMlp<T>::add(const std::string& name, std::shared_ptr<const LoraAdapter<T>> adapter) {
  if (adapter == nullptr) throw std::invalid_argument("AdaptedMlp: no adapter");
  if (adapters_.count(name) > 0) throw std::invalid_argument(fmt::format("AdaptedMlp: the name {} is taken", name));
  adapter->check_base(*base_);
  adapters_.emplace(name, std::move(adapter));
}

template <Real T>
void AdaptedMlp<T>::enable(const std::string& name) {
  const auto found = adapters_.find(name);
  if (found == adapters_.end()) {
    std::vector<std::string> known;
    for (const auto& each : adapters_) known.push_back(each.first);
    throw std::invalid_argument(
        fmt::format("AdaptedMlp: there is no adapter {} (there are: {})", name, fmt::join(known, ", ")));
  }
  active_ = found->second;
}

template <Real T>
std::optional<std::string> AdaptedMlp<T>::active_name() const {
  for (const auto& [name, adapter] : adapters_)
    if (adapter == active_) return name;
  return std::nullopt;
}

#define LOWRANK_INSTANTIATE(T)                            \
  template class LoraAdapter<T>;                          \
  template class AdaptedMlp<T>;                           \
  template void merge<T>(Mlp<T>&, const LoraAdapter<T>&); \
  template void unmerge<T>(Mlp<T>&, const LoraAdapter<T>&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
