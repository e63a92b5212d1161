#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace lowrank {

/// The two 16-bit floating-point formats of tensor files, as their bits.
struct HalfFormat {
  int exponent_bits, mantissa_bits;
};
inline constexpr HalfFormat float16_format{5, 10};  ///< IEEE 754 binary16
inline constexpr HalfFormat bfloat16_format{8, 7};

inline float bfloat16_to_float(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

inline float float16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16, magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // Moved into place the exponent is short by 127 - 15, which a product makes up exactly, subnormals included.
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
}

/// `value` rounded once, to nearest, ties to even. Finite values beyond the range become Inf.
inline std::uint16_t round_to_half(double value, HalfFormat format) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const auto infinity = static_cast<std::uint16_t>(((1 << format.exponent_bits) - 1) << format.mantissa_bits);
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | infinity | 1 << (format.mantissa_bits - 1));
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (magnitude >= std::ldexp(1.0, bias + 1)) return static_cast<std::uint16_t>(sign | infinity);
  const int exponent = std::max(std::ilogb(magnitude), 1 - bias);
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent)));
  // A carry out of the mantissa runs into the exponent, as it should; up to Inf.
  return static_cast<std::uint16_t>(
      sign | ((static_cast<std::uint32_t>(exponent - (1 - bias)) << format.mantissa_bits) + steps));
}

}  // namespace lowrank
