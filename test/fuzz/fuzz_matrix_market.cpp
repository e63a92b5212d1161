#include <lowrank/io/matrix_market.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) {
  // The sizes that a header asks for are bounded, as the memory of a fuzzer is.
  lowrank::read_matrix_market(file, lowrank::Index{1} << 26);
}
