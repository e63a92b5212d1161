#pragma once

#include <lowrank/core/types.hpp>

#include "report.hpp"

namespace lowrank::bench {

/// What the machine can do at best.
struct Rates {
  double flops;  ///< of a square matrix product, per second
  double bytes;  ///< read per second

  /// The least time for work of so many flops that has to read so many bytes.
  double floor(double work_flops, double work_bytes) const;
};

/// Measured once for each dtype, number of threads (the library's at the time) and size class, the best of several
/// runs: the product of two 2048×2048 matrices, and repeated reading of a buffer of `bytes` (what fits in a cache is
/// read from there, by the buffer as by a matrix of that size).
template <Real T>
Rates rates_for(double bytes);

/// The rates measured so far.
Json rates_used();
void print_rates();

/// CPU, cores, caches, memory, OpenBLAS and compiler.
Json machine_description();
void print_machine();

}  // namespace lowrank::bench
