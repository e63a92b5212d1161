#include <fmt/core.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <lowrank/core/error.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/json_text.hpp>
#include <lowrank/io/safetensors.hpp>
#include <lowrank/nn/lora_file.hpp>
#include <lowrank/nn/storage.hpp>
#include <memory>

namespace lowrank {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

const std::string prefix = "base_model.model.", suffix_a = ".lora_A.weight", suffix_b = ".lora_B.weight";

std::string in_folder(const std::string& folder, const char* file) {
  return (std::filesystem::path(folder) / file).string();
}

/// alpha such that a plain adapter of rank r has the scale s.
double alpha_for(double scale, LoraScaling scaling, Index rank) {
  const double r = static_cast<double>(rank);
  return scale * (scaling == LoraScaling::standard ? r : std::sqrt(r));
}

Json number(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

template <Real T>
Json config_of(const LoraAdapter<T>& adapter, const std::string& base_path) {
  const Index rank = adapter.init() == LoraInit::pissa ? 2 * adapter.rank() : adapter.rank();
  const double alpha = alpha_for(adapter.scale(), adapter.scaling(), rank);
  Json targets = Json::array(), ranks = Json::object(), alphas = Json::object();
  for (const LoraLayer<T>& layer : adapter.layers()) {
    targets.push_back(layer.name);
    if (layer.directions() == rank && layer.scale == adapter.scale()) continue;
    ranks["^" + layer.name] = layer.directions();
    alphas["^" + layer.name] = number(alpha_for(layer.scale, adapter.scaling(), layer.directions()));
  }
  return {{"peft_type", "LORA"},
          {"auto_mapping", nullptr},
          {"base_model_name_or_path", base_path.empty() ? Json(nullptr) : Json(base_path)},
          {"task_type", nullptr},
          {"inference_mode", true},
          {"r", rank},
          {"lora_alpha", number(alpha)},
          {"lora_dropout", 0.0},
          {"use_rslora", adapter.scaling() == LoraScaling::rank_stabilized},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          // PEFT initializes before it loads: "pissa" would make it change the base.
          {"init_lora_weights", true},
          {"target_modules", targets},
          {"modules_to_save", nullptr},
          {"rank_pattern", ranks},
          {"alpha_pattern", alphas}};
}

/// Numbers for the layers whose names match regular expressions, in the order of the file: the first match counts.
template <class Number>
using Patterns = std::vector<std::pair<std::unique_ptr<const RE2>, Number>>;

struct Config {
  Index rank;
  double alpha;
  LoraScaling scaling;
  std::string base_path;
  Patterns<Index> ranks;
  Patterns<double> alphas;

  double alpha_of(const std::string& layer) const { return chosen(alphas, layer, alpha); }
  Index rank_of(const std::string& layer) const { return chosen(ranks, layer, rank); }

 private:
  template <class Number>
  static Number chosen(const Patterns<Number>& patterns, const std::string& layer, Number otherwise) {
    for (const auto& [pattern, value] : patterns)
      if (RE2::FullMatch(layer, *pattern)) return value;
    return otherwise;
  }
};

void refuse(const std::string& path, const std::string& what) { throw Error(path + ": " + what); }

/// RE2 takes time linear in the name and refuses what it does not know.
std::unique_ptr<const RE2> regular_expression(const std::string& path, const std::string& name,
                                              const std::string& key) {
  RE2::Options options;
  options.set_log_errors(false);
  const auto refuse_key = [&](const std::string& why) {
    refuse(path, fmt::format("{}: the pattern {} is beyond the regular expressions lowrank reads: {}", name,
                             in_quotes(key), why));
  };
  const auto reason = [](const RE2& pattern) {  // without the part it is about where that is long
    return pattern.error_arg().size() > 20 ? pattern.error().substr(0, pattern.error().find(": ")) : pattern.error();
  };
  // Beyond a million of parts RE2 writes to stderr.
  constexpr std::size_t longest = 100'000;
  if (key.size() > longest) refuse_key(fmt::format("it has more than {} characters", longest));
  if (const RE2 alone(key, options); !alone.ok()) refuse_key(reason(alone));
  // Python reads {,n} as a count, RE2 as text; these mean nothing, or something else, to Python.
  for (const char* other : {"[[:", "\\p", "\\P", "\\Q", "\\C"})
    if (key.find(other) != std::string::npos) refuse_key(other);
  if (key.find("{,") != std::string::npos) refuse_key("a count without its lower end");
  // As PEFT's get_pattern_key matches.
  auto whole = std::make_unique<const RE2>("(.*\\.)?(" + key + ")$", options);
  if (!whole->ok()) refuse_key(reason(*whole));
  return whole;
}

/// An object of regular expressions for layers' names and numbers; empty where it is missing.
template <class Number>
Patterns<Number> patterns_of(const std::string& path, const OrderedJson& config, const std::string& name) {
  OrderedJson given = config.value(name, OrderedJson::object());
  if (given.is_null()) given = OrderedJson::object();
  if (!given.is_object()) refuse(path, name + " is no object");
  Patterns<Number> patterns;
  for (const auto& [key, value] : given.items()) {
    const bool fits = std::is_integral_v<Number> ? value.is_number_integer() : value.is_number();
    if (!fits)
      refuse(path, fmt::format("{}[{}] is no {}", name, in_quotes(key),
                               std::is_integral_v<Number> ? "whole number" : "number"));
    patterns.emplace_back(regular_expression(path, name, key), value.template get<Number>());
  }
  return patterns;
}

/// Other ways to begin, such as PiSSA's, change the base when PEFT loads the adapter: B·A is then no difference to the
/// base as it is.
void check_init(const std::string& path, const OrderedJson& init) {
  if (init.is_null() || init.is_boolean()) return;
  for (const char* word : {"gaussian", "orthogonal", "eva"})
    if (init == word) return;
  refuse(path,
         fmt::format("init_lora_weights is {}: PEFT changes the base when it loads such an adapter, so it cannot be "
                     "added to the base as it is; PEFT's save_pretrained(..., path_initial_model_for_weight_conversion="
                     "...) writes it as a plain adapter",
                     init.dump(-1, ' ', true, OrderedJson::error_handler_t::replace)));
}

Config read_config(const std::string& path) {
  const FileBytes file = FileBytes::open(path);
  const auto json = parse_json<OrderedJson>(path, file.text());
  if (!json.is_object() || json.value("peft_type", OrderedJson()) != "LORA") refuse(path, "peft_type is not \"LORA\"");
  const auto given = [&](const char* key) {
    const OrderedJson value = json.value(key, OrderedJson());
    return !(value.is_null() || value == false || value == OrderedJson::object() || value == OrderedJson::array());
  };
  for (const char* key :
       {"use_dora", "fan_in_fan_out", "modules_to_save", "lora_bias", "target_parameters", "megatron_config"})
    if (given(key)) refuse(path, fmt::format("{} is set: such an adapter is more than B·A", key));
  if (json.value("bias", OrderedJson("none")) != "none")
    refuse(path, "bias is not \"none\": such an adapter is more than B·A");
  check_init(path, json.value("init_lora_weights", OrderedJson()));
  const OrderedJson rank = json.value("r", OrderedJson(8)), alpha = json.value("lora_alpha", OrderedJson(8));
  if (!rank.is_number_integer() || rank < 1) refuse(path, "r is no positive integer");
  if (!alpha.is_number()) refuse(path, "lora_alpha is no number");
  const OrderedJson rslora = json.value("use_rslora", OrderedJson(false)),
                    base = json.value("base_model_name_or_path", OrderedJson());
  return {rank.get<Index>(),
          alpha.get<double>(),
          rslora == true ? LoraScaling::rank_stabilized : LoraScaling::standard,
          base.is_string() ? base.get<std::string>() : "",
          patterns_of<Index>(path, json, "rank_pattern"),
          patterns_of<double>(path, json, "alpha_pattern")};
}

struct Folder {
  Config config;
  SafetensorsFile tensors;
  std::string path;  // of the tensors
  AdapterInfo info;
};

/// The layer of a tensor's name when it is an A.
std::optional<std::string> layer_of(const std::string& tensor, const std::string& suffix) {
  if (!tensor.starts_with(prefix) || !tensor.ends_with(suffix) || tensor.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  return tensor.substr(prefix.size(), tensor.size() - prefix.size() - suffix.size());
}

AdapterInfo::Layer read_layer(const Folder& folder, const std::string& name) {
  const TensorInfo &A = folder.tensors.tensor(prefix + name + suffix_a),
                   &B = folder.tensors.tensor(prefix + name + suffix_b);
  if (A.shape.size() != 2 || B.shape.size() != 2 || A.shape[0] != B.shape[1] || A.shape[0] < 1)
    refuse(folder.path, fmt::format("A and B of {} do not fit each other", name));
  if (const Index rank = folder.config.rank_of(name); rank != A.shape[0])
    refuse(folder.path, fmt::format("{} has the rank {}, but adapter_config.json says {}: the two files are not of one "
                                    "adapter",
                                    name, A.shape[0], rank));
  return {name, A.shape[0], A.shape[1], B.shape[0], folder.config.alpha_of(name)};
}

Folder open_folder(const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) refuse(folder, "there is no such folder");
  Config config = read_config(in_folder(folder, "adapter_config.json"));
  const std::string path = in_folder(folder, "adapter_model.safetensors");
  Folder result{std::move(config), SafetensorsFile::open(path), path, {}};
  for (const TensorInfo& tensor : result.tensors.tensors()) {
    if (const auto layer = layer_of(tensor.name, suffix_a))
      result.info.layers.push_back(read_layer(result, *layer));
    else if (const auto of_b = layer_of(tensor.name, suffix_b);
             !of_b || !result.tensors.contains(prefix + *of_b + suffix_a))
      refuse(path, fmt::format("the tensor {} belongs to no pair of lora_A and lora_B", tensor.name));
  }
  if (result.info.layers.empty()) refuse(path, "there is no adapted layer in it");
  std::sort(result.info.layers.begin(), result.info.layers.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  result.info.rank = result.config.rank;
  result.info.alpha = result.config.alpha;
  result.info.scaling = result.config.scaling;
  result.info.base_path = result.config.base_path;
  const auto& metadata = result.tensors.metadata();
  if (const auto digest = metadata.find("base_digest"); digest != metadata.end())
    result.info.base_digest = digest->second;
  return result;
}

template <Real T>
Matrix<T> read_finite(const Folder& folder, const std::string& tensor) {
  Matrix<T> values = folder.tensors.matrix<T>(tensor);
  if (const auto place = first_nonfinite<T>(values))
    refuse(folder.path, fmt::format("{} is not finite at ({}, {})", tensor, place->row, place->col));
  return Matrix<T>::copy_of(values, Order::row_major);
}

}  // namespace

Index AdapterInfo::parameters() const {
  Index count = 0;
  for (const Layer& layer : layers) count += layer.rank * (layer.in + layer.out);
  return count;
}

template <Real T>
void save_adapter(const std::string& folder, const LoraAdapter<T>& adapter, const std::string& base_path) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw Error(fmt::format("{}: the folder cannot be made: {}", folder, failure.message()));
  SafetensorsWriter writer;
  std::vector<Matrix<T>> kept;
  kept.reserve(2 * adapter.layers().size());
  for (const LoraLayer<T>& layer : adapter.layers()) {
    writer.add<T>(prefix + layer.name + suffix_a, kept.emplace_back(to_host<T>(layer.A)).view());
    writer.add<T>(prefix + layer.name + suffix_b, kept.emplace_back(to_host<T>(layer.B)).view());
  }
  writer.set_metadata("format", "pt");
  if (!adapter.base_digest().empty()) writer.set_metadata("base_digest", adapter.base_digest());
  AtomicFile tensors(in_folder(folder, "adapter_model.safetensors")), config(in_folder(folder, "adapter_config.json"));
  writer.write(tensors);
  config.write(config_of(adapter, base_path).dump(2) + "\n");
  // A failure must not leave new tensors beside an old configuration.
  tensors.complete();
  config.complete();
  tensors.commit();
  config.commit();
}

AdapterInfo adapter_info(const std::string& folder) { return open_folder(folder).info; }

template <Real T>
LoraAdapter<T> load_adapter(const std::string& folder, const Mlp<T>& base) {
  const Folder opened = open_folder(folder);
  std::vector<LoraLayer<T>> layers;
  for (Index l = 0; l < base.depth(); ++l) {
    const std::string& name = base.layers()[static_cast<std::size_t>(l)].name;
    for (const AdapterInfo::Layer& each : opened.info.layers) {
      if (each.name != name) continue;
      const Matrix<T> A = read_finite<T>(opened, prefix + name + suffix_a),
                      B = read_finite<T>(opened, prefix + name + suffix_b);
      const double r = static_cast<double>(each.rank);
      LoraLayer<T> layer{l,
                         name,
                         padded_rows<T>(each.rank, each.in, base.device()),
                         Matrix<T>(each.out, each.rank, base.device()),
                         each.rank,
                         each.alpha / (opened.info.scaling == LoraScaling::standard ? r : std::sqrt(r))};
      from_host<T>(A.data(), layer.A);
      from_host<T>(B.data(), layer.B);
      layers.push_back(std::move(layer));
    }
  }
  for (const AdapterInfo::Layer& each : opened.info.layers)
    if (std::none_of(layers.begin(), layers.end(), [&](const auto& layer) { return layer.name == each.name; }))
      refuse(folder,
             fmt::format("the adapter is for another base: it adapts {}, which the network does not have", each.name));
  LoraAdapter<T> adapter(std::move(layers), opened.info.rank, opened.info.alpha, opened.info.scaling, LoraInit::kaiming,
                         opened.info.base_digest);
  try {
    adapter.check_base(base);
  } catch (const Error& error) {
    refuse(folder, error.what());
  }
  return adapter;
}

template void save_adapter<float>(const std::string&, const LoraAdapter<float>&, const std::string&);
template void save_adapter<double>(const std::string&, const LoraAdapter<double>&, const std::string&);
template LoraAdapter<float> load_adapter<float>(const std::string&, const Mlp<float>&);
template LoraAdapter<double> load_adapter<double>(const std::string&, const Mlp<double>&);

}  // namespace lowrank
