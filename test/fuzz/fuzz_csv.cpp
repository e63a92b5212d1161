#include <lowrank/io/csv.hpp>

#include "fuzz_input.hpp"

FUZZ_READER(file) { lowrank::read_csv(file); }
