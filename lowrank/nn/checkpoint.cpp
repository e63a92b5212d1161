#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/nn/checkpoint.hpp>
#include <lowrank/nn/layer_names.hpp>
#include <lowrank/nn/storage.hpp>
#include <sstream>

namespace lowrank {
namespace {

/// Tensors of layers, on the host until the file is written.
template <Real T>
void add_layers(SafetensorsWriter& writer, const std::string& prefix, const std::vector<Linear<T>>& layers,
                std::vector<Matrix<T>>& kept) {
  for (const Linear<T>& layer : layers) {
    writer.add<T>(prefix + layer.name + weight_suffix, kept.emplace_back(to_host<T>(layer.weight)).view());
    writer.add_vector<T>(prefix + layer.name + bias_suffix, kept.emplace_back(to_host<T>(layer.bias)).view());
  }
}

template <Real T>
std::vector<std::string> names_of(const std::vector<Linear<T>>& layers) {
  std::vector<std::string> names;
  for (const Linear<T>& layer : layers) names.push_back(layer.name);
  return names;
}

template <Real T>
Matrix<T> read_tensor(const std::string& path, const SafetensorsFile& file, const std::string& name) {
  Matrix<T> values = file.matrix<T>(name);
  if (const auto place = first_nonfinite<T>(values))
    throw Error(fmt::format("{}: {} is not finite at ({}, {})", path, name, place->row, place->col));
  return Matrix<T>::copy_of(values, Order::row_major);
}

template <Real T>
std::vector<Linear<T>> read_layers(const std::string& path, const SafetensorsFile& file, const std::string& prefix,
                                   const std::vector<std::string>& names, Device& device) {
  std::vector<Linear<T>> layers;
  for (const std::string& name : names) {
    const Matrix<T> W = read_tensor<T>(path, file, prefix + name + weight_suffix);
    const Matrix<T> b = read_tensor<T>(path, file, prefix + name + bias_suffix);
    Linear<T> layer{name, padded_rows<T>(W.rows(), W.cols(), device), Matrix<T>(b.rows(), 1, device)};
    from_host<T>(W.data(), layer.weight);
    from_host<T>(b.data(), layer.bias);
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::string text(double value) { return fmt::format("{}", value); }
std::string text(Index value) { return fmt::format("{}", value); }

/// The metadata of a state file, read with complaints.
class Fields {
 public:
  Fields(const std::string& path, const std::map<std::string, std::string>& metadata)
      : path_(path), metadata_(metadata) {}

  const std::string& word(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) throw Error(fmt::format("{}: no state of a training: '{}' is missing", path_, key));
    return found->second;
  }
  std::string word_or_none(const std::string& key) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? "" : found->second;
  }
  template <class U>
  U number(const std::string& key) const {
    const std::string& given = word(key);
    U value{};
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error != std::errc() || end != given.data() + given.size())
      throw Error(fmt::format("{}: '{}' is '{}', which is no number that fits", path_, key, given));
    return value;
  }
  /// A number from `least` on and below `limit`.
  template <class U>
  U number(const std::string& key, U least, U limit = std::numeric_limits<U>::max()) const {
    const U value = number<U>(key);
    if (!(value >= least && value < limit))
      throw Error(fmt::format("{}: '{}' is {}, which no training has", path_, key, value));
    return value;
  }
  std::string one_of(const std::string& key, std::initializer_list<std::string_view> words) const {
    const std::string& given = word(key);
    if (std::find(words.begin(), words.end(), given) == words.end())
      throw Error(fmt::format("{}: '{}' is '{}', not one of {}", path_, key, given, fmt::join(words, ", ")));
    return given;
  }

 private:
  const std::string& path_;
  const std::map<std::string, std::string>& metadata_;
};

TrainingProgress read_progress(const Fields& fields) {
  TrainingProgress progress;
  progress.optimizer = {
      .rule = fields.one_of("optimizer", {"adam", "sgd"}) == "sgd" ? UpdateRule::sgd : UpdateRule::adam,
      .lr = fields.number<double>("lr", std::numeric_limits<double>::denorm_min()),
      .beta1 = fields.number<double>("beta1", 0, 1),
      .beta2 = fields.number<double>("beta2", 0, 1),
      .epsilon = fields.number<double>("epsilon", 0)};
  constexpr double lowest = std::numeric_limits<double>::lowest();
  progress.batch = fields.number<Index>("batch", 1);
  progress.step = fields.number<Index>("step", 0);
  progress.next = fields.number<Index>("next", 0);
  progress.epochs_begun = fields.number<Index>("epochs_begun", 0);
  progress.loss_sum = fields.number<double>("loss_sum", lowest);
  progress.running_loss = fields.number<double>("running_loss", lowest);
  progress.random = random_kind(fields.one_of("random", {name(RandomKind::philox), name(RandomKind::torch)}));
  progress.seed = fields.number<std::uint64_t>("seed");
  progress.history = fields.word("history");
  progress.data_digest = fields.word("data_digest");
  progress.replaced_digest = fields.word_or_none("replaced_digest");
  return progress;
}

}  // namespace

template <Real T>
void save_mlp(const std::string& path, const Mlp<T>& mlp) {
  SafetensorsWriter writer;
  std::vector<Matrix<T>> kept;
  kept.reserve(2 * mlp.layers().size());
  add_layers(writer, "", mlp.layers(), kept);
  writer.set_metadata("format", "pt");
  writer.set_metadata("layers", fmt::format("{}", fmt::join(names_of(mlp.layers()), ",")));
  writer.set_metadata("sizes", fmt::format("{}", fmt::join(mlp.sizes(), ",")));
  writer.set_metadata("activation", "relu");
  writer.write(path);
}

template <Real T>
Mlp<T> load_mlp(const std::string& path, Device& device) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto activation = file.metadata().find("activation");
  if (activation != file.metadata().end() && activation->second != "relu")
    throw Error(fmt::format("{}: the activation is {}, only relu is known", path, activation->second));
  std::vector<Linear<T>> layers = read_layers<T>(path, file, "", layer_names(path, file), device);
  try {
    return Mlp<T>(std::move(layers));
  } catch (const std::invalid_argument& error) {
    throw Error(fmt::format("{}: {}", path, error.what()));
  }
}

std::string state_path(const std::string& checkpoint) {
  const std::string ending = ".safetensors";
  const bool has = checkpoint.ends_with(ending);
  return checkpoint.substr(0, checkpoint.size() - (has ? ending.size() : 0)) + ".state" + ending;
}

template <Real T>
void save_state(const std::string& path, const TrainingProgress& progress, const std::vector<Linear<T>>& parameters,
                const std::vector<Linear<T>>& m, const std::vector<Linear<T>>& v) {
  SafetensorsWriter writer;
  std::vector<Matrix<T>> kept;
  kept.reserve(2 * (parameters.size() + m.size() + v.size()));
  add_layers(writer, "", parameters, kept);
  add_layers(writer, "m.", m, kept);
  add_layers(writer, "v.", v, kept);
  const Optimizer& optimizer = progress.optimizer;
  for (const auto& [key, value] : std::initializer_list<std::pair<const char*, std::string>>{
           {"layers", fmt::format("{}", fmt::join(names_of(parameters), ","))},
           {"optimizer", optimizer.rule == UpdateRule::sgd ? "sgd" : "adam"},
           {"lr", text(optimizer.lr)},
           {"beta1", text(optimizer.beta1)},
           {"beta2", text(optimizer.beta2)},
           {"epsilon", text(optimizer.epsilon)},
           {"batch", text(progress.batch)},
           {"step", text(progress.step)},
           {"next", text(progress.next)},
           {"epochs_begun", text(progress.epochs_begun)},
           {"loss_sum", text(progress.loss_sum)},
           {"running_loss", text(progress.running_loss)},
           {"random", std::string(name(progress.random))},
           {"seed", fmt::format("{}", progress.seed)},
           {"history", progress.history},
           {"data_digest", progress.data_digest},
           {"replaced_digest", progress.replaced_digest}})
    writer.set_metadata(key, value);
  writer.write(path);
}

template <Real T>
TrainingState<T> load_state(const std::string& path, Device& device) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const Fields fields(path, file.metadata());
  TrainingState<T> state;
  state.progress = read_progress(fields);
  std::vector<std::string> names;
  std::istringstream words(fields.word("layers"));
  for (std::string word; std::getline(words, word, ',');) names.push_back(word);
  state.parameters = read_layers<T>(path, file, "", names, device);
  if (state.progress.optimizer.rule == UpdateRule::adam) {
    state.m = read_layers<T>(path, file, "m.", names, device);
    state.v = read_layers<T>(path, file, "v.", names, device);
    for (std::size_t l = 0; l < names.size(); ++l)
      for (const Linear<T>* moment : {&state.m[l], &state.v[l]})
        if (moment->in() != state.parameters[l].in() || moment->out() != state.parameters[l].out() ||
            moment->bias.rows() != state.parameters[l].bias.rows())
          throw Error(fmt::format("{}: the moments of {} have another shape than its parameters", path, names[l]));
  }
  return state;
}

#define LOWRANK_INSTANTIATE(T)                                                                            \
  template void save_mlp<T>(const std::string&, const Mlp<T>&);                                           \
  template Mlp<T> load_mlp<T>(const std::string&, Device&);                                               \
  template void save_state<T>(const std::string&, const TrainingProgress&, const std::vector<Linear<T>>&, \
                              const std::vector<Linear<T>>&, const std::vector<Linear<T>>&);              \
  template TrainingState<T> load_state<T>(const std::string&, Device&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
