#pragma once

#include "options.hpp"
#include "report.hpp"

namespace lowrank::bench {

/// Each prints a table and returns its figures, one object a row.
Json error_benchmark(const Options& options);  ///< also writes options.plot
Json rank_benchmark(const Options& options);
Json products_benchmark(const Options& options);
Json sparse_benchmark(const Options& options);
Json scaling_benchmark(const Options& options);
Json device_benchmark(const Options& options);  ///< throws Error where the device cannot be used

/// Calls f.template operator()<T>() for a dtype's name, "f32" or "f64".
template <class F>
void for_dtype(const std::string& dtype, F&& f) {
  if (dtype == "f32")
    f.template operator()<float>();
  else
    f.template operator()<double>();
}

}  // namespace lowrank::bench
