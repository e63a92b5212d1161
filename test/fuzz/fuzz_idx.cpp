#include <lowrank/io/idx.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) {
  try {
    lowrank::read_idx_images(file);
  } catch (const lowrank::Error&) {
    lowrank::read_idx_labels(file, 10);
  }
}
