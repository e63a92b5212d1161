#include <fmt/core.h>

#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/core/types.hpp>

namespace lowrank {

Index checked_product(Index a, Index b) {
  Index product = 0;
  if (__builtin_mul_overflow(a, b, &product))
    throw Error(fmt::format("a size of {} x {} does not fit in 63 bits", a, b));
  return product;
}

int blas_int(Index size) {
  if (size < 0 || size > std::numeric_limits<int>::max())
    throw Error(fmt::format("a dimension of {} is beyond the 32-bit integers of BLAS and LAPACK", size));
  return static_cast<int>(size);
}

}  // namespace lowrank
