#include <lowrank/io/npy.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) { lowrank::read_npy(file); }
