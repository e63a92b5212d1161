#include <lowrank/io/npz.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) {
  const lowrank::NpzFile archive(file);
  for (const auto& member : archive.members()) archive.load(member.name);
}
