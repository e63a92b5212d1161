#include <lowrank/io/scipy_sparse.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) {
  const lowrank::NpzFile archive(file);
  // A member named format holds no numbers, so that no such archive can be loaded to its end.
  if (lowrank::is_scipy_sparse(archive)) {
    lowrank::read_scipy_sparse(archive, 1 << 24);
    return;
  }
  for (const auto& member : archive.members()) archive.load(member.name);
}
