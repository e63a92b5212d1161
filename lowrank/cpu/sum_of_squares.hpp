#pragma once

#include <lowrank/core/types.hpp>

namespace lowrank {

/// Σ x² of n entries in double, in independent partial sums, so that it rounds little. Memory sets its speed.
double sum_of_squares(const float* x, Index n);
double sum_of_squares(const double* x, Index n);

}  // namespace lowrank
