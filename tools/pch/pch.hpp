// Precompiled for the command and the benchmarks: what nearly every file includes and takes long to read.
#include <fmt/core.h>

#include <algorithm>
#include <lowrank/core/primitives.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>
