#include <lowrank/io/safetensors.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) {
  const lowrank::SafetensorsFile tensors(file);
  for (const auto& tensor : tensors.tensors()) {
    try {
      tensors.load(tensor.name);
    } catch (const lowrank::Error&) {
      // A dtype or shape that is no matrix; the next tensor may be one.
    }
  }
}
