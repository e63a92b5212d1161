// Precompiled for the test program: what nearly every test includes and takes long to read.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <Eigen/Core>
#include <functional>
#include <lowrank/core/primitives.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "capture.hpp"
