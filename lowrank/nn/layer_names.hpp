#pragma once

#include <lowrank/io/safetensors.hpp>
#include <string>
#include <vector>

namespace lowrank {

inline const std::string weight_suffix = ".weight", bias_suffix = ".bias";

/// The layers of a network in a file, in their order: that of the metadata "layers"; or of the numbers in their names,
/// where these differ in nothing else; or the only one in which their shapes chain. Throws Error: a tensor that is no
/// weight and no bias of a linear layer, one of the two alone, metadata that list other layers, no order or several.
std::vector<std::string> layer_names(const std::string& path, const SafetensorsFile& file);

}  // namespace lowrank
