#pragma once

#include <algorithm>
#include <exception>
#include <lowrank/core/device.hpp>
#include <lowrank/core/primitives.hpp>

/// Products whose bits do not depend on the number of threads. OpenBLAS cuts a product differently for each number of
/// threads, so here a product is cut into tiles that depend on the shape alone; each is computed by one thread with
/// OpenBLAS set to one, and the threads share the tiles. Internal to gen.

namespace lowrank::tiles {

/// task(0), ..., task(count - 1), in any order and on several threads. The first exception of a task is thrown on.
template <class Task>
void for_each(Index count, const Task& task) {
  const ScopedThreads guard(1);
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic) num_threads(guard.before())
  for (Index i = 0; i < count; ++i) {
    try {
      task(i);
    } catch (...) {
#pragma omp critical(lowrank_gen_tiles)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

inline Index ceil_divide(Index a, Index b) { return (a + b - 1) / b; }

/// C ← A·B in tiles of 512×512.
template <Real T>
void product(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> C) {
  constexpr Index side = 512;
  const Index down = ceil_divide(C.rows(), side), across = ceil_divide(C.cols(), side);
  for_each(down * across, [&](Index tile) {
    const Index i = tile / across * side, j = tile % across * side;
    const Index height = std::min(side, C.rows() - i), width = std::min(side, C.cols() - j);
    multiply<T>(T(1), A.middle_rows(i, height), B.middle_cols(j, width), T(0), C.block(i, j, height, width));
  });
}

}  // namespace lowrank::tiles
