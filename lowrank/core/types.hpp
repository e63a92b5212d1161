#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace lowrank {

/// Sizes and indices are 64-bit (the same type as Eigen::Index).
using Index = std::ptrdiff_t;

/// How the entries lie in memory: columns one after another, or rows.
enum class Order { col_major, row_major };

constexpr Order flip(Order order) { return order == Order::col_major ? Order::row_major : Order::col_major; }

template <class T>
concept Real = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// "f32" or "f64".
template <Real T>
constexpr std::string_view dtype_name() {
  return std::is_same_v<T, float> ? "f32" : "f64";
}

/// a·b for sizes; throws Error when the product does not fit in 63 bits.
Index checked_product(Index a, Index b);

/// The one place where a size is narrowed for BLAS and LAPACK, which take 32-bit integers.
/// Throws Error with the value when it does not fit.
int blas_int(Index size);

}  // namespace lowrank
