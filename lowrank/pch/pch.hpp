// Precompiled for the library: what nearly every file includes and takes long to read.
#include <fmt/core.h>

#include <algorithm>
#include <lowrank/core/primitives.hpp>
#include <string>
#include <vector>
