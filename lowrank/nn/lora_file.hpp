#pragma once

#include <lowrank/nn/lora.hpp>
#include <string>

namespace lowrank {

/// Writes a PEFT adapter folder: adapter_model.safetensors (`base_model.model.<layer>.lora_A.weight` [r, in] and
/// `.lora_B.weight` [out, r]) and adapter_config.json. The folder is made if need be; both files are complete before
/// one of them takes its name. A pissa adapter is written as the plain one of rank 2r that it is, with an alpha that
/// keeps the scale (as PEFT's conversion does). `base_path` becomes base_model_name_or_path. Throws Error. Source:
/// huggingface/peft, docs/source/developer_guides/checkpoint.md.
template <Real T>
void save_adapter(const std::string& folder, const LoraAdapter<T>& adapter, const std::string& base_path = {});

/// What an adapter folder says of itself.
struct AdapterInfo {
  struct Layer {
    std::string name;
    Index rank, in, out;
    double alpha;
  };
  std::vector<Layer> layers;
  Index rank = 0;
  double alpha = 0;
  LoraScaling scaling = LoraScaling::standard;
  std::string base_path, base_digest;  ///< empty when not known
  Index parameters() const;
};
/// Throws Error as load_adapter does.
AdapterInfo adapter_info(const std::string& folder);

/// Reads a PEFT folder for `base`. Throws Error: a file missing, no LoRA config, a kind of LoRA that is more than B·A
/// (DoRA, trained biases, fan_in_fan_out) or for which PEFT changes the base (init_lora_weights "pissa", "olora", ...),
/// a pattern with what RE2 does not read (lookaround, backreferences), ranks that differ from layer to layer by other
/// than the tensors' shapes, an A without its B, a layer that the base does not have, another shape, another base's
/// digest.
template <Real T>
LoraAdapter<T> load_adapter(const std::string& folder, const Mlp<T>& base);

}  // namespace lowrank
