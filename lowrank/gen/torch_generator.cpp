#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/gen/torch_generator.hpp>
#include <numbers>
#include <numeric>
#include <stdexcept>

namespace lowrank {
namespace {

/// The length of torch's blocks of normals, and the least count that is drawn in blocks.
constexpr Index block = 16;

/// Box and Muller's transform of 16 uniforms, in place. Logarithm, sine and cosine are taken in double, which is as
/// near to torch's polynomials as any choice; the angle is rounded as torch rounds it.
template <Real T>
void transform_block(T* d) {
  constexpr T two_pi = static_cast<T>(2 * std::numbers::pi);
  for (int j = 0; j < 8; ++j) {
    const T u1 = T(1) - d[j], theta = two_pi * d[j + 8];
    const T radius = std::sqrt(T(-2) * static_cast<T>(std::log(static_cast<double>(u1))));
    d[j] = radius * static_cast<T>(std::cos(static_cast<double>(theta)));
    d[j + 8] = radius * static_cast<T>(std::sin(static_cast<double>(theta)));
  }
}

template <Real T>
void draw_block(TorchGenerator& generator, T* d) {
  for (Index j = 0; j < block; ++j) d[j] = generator.uniform<T>();
  transform_block(d);
}

/// Multiplied and added with one rounding, as torch's builds for AVX2 do.
template <Real T>
void fill_uniform(TorchGenerator& generator, std::span<T> values, T from, T to) {
  for (T& value : values) value = std::fma(generator.uniform<T>(), to - from, from);
}

}  // namespace

void TorchGenerator::seed(std::uint64_t seed) {
  engine_.seed(static_cast<std::uint32_t>(seed));
  kept_normal_.reset();
}

std::uint64_t TorchGenerator::random64() {
  const std::uint64_t high = random();
  return high << 32 | random();
}

template <>
float TorchGenerator::uniform<float>() {
  return static_cast<float>(random() & 0xffffff) * 0x1p-24F;
}

template <>
double TorchGenerator::uniform<double>() {
  return static_cast<double>(random64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void TorchGenerator::uniform(std::span<float> values, float from, float to) { fill_uniform(*this, values, from, to); }
void TorchGenerator::uniform(std::span<double> values, double from, double to) {
  fill_uniform(*this, values, from, to);
}

double TorchGenerator::normal() {
  if (kept_normal_) {
    const double value = *kept_normal_;
    kept_normal_.reset();
    return value;
  }
  const double u1 = uniform<double>(), u2 = uniform<double>();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2)), theta = 2.0 * std::numbers::pi * u1;
  kept_normal_ = radius * std::sin(theta);
  return radius * std::cos(theta);
}

void TorchGenerator::normal(std::span<float> values) {
  TorchNormalStream<float>(*this, static_cast<Index>(values.size())).read(values);
}
void TorchGenerator::normal(std::span<double> values) {
  TorchNormalStream<double>(*this, static_cast<Index>(values.size())).read(values);
}

template <Real T>
void TorchGenerator::skip_normal(Index count) {
  if (count < block) {
    for (Index i = 0; i < count; ++i) normal();
    return;
  }
  const Index uniforms = count + (count % block == 0 ? 0 : block);
  engine_.discard(static_cast<unsigned long long>(uniforms) * (sizeof(T) / sizeof(std::uint32_t)));
}
template void TorchGenerator::skip_normal<float>(Index);
template void TorchGenerator::skip_normal<double>(Index);

std::vector<Index> TorchGenerator::randperm(Index n) {
  constexpr Index limit = (Index{1} << 32) / 20;
  if (n < 0 || n >= limit)
    throw std::invalid_argument(fmt::format("randperm: n = {} is not between 0 and {}", n, limit - 1));
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  for (Index i = 0; i + 1 < n; ++i) {
    const Index other = i + static_cast<Index>(random()) % (n - i);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(other)]);
  }
  return order;
}

std::vector<Index> TorchGenerator::epoch_order(Index n) {
  random64();  // the base seed, which only the loader's worker processes use
  const std::uint64_t sampler_seed = random64() & ((std::uint64_t{1} << 63) - 1);
  return TorchGenerator(sampler_seed).randperm(n);
}

template <Real T>
TorchNormalStream<T>::TorchNormalStream(TorchGenerator& generator, Index total)
    : generator_(&generator), left_(total), in_blocks_(total >= block) {
  if (total < 0) throw std::invalid_argument(fmt::format("TorchNormalStream: {} numbers", total));
}

template <Real T>
void TorchNormalStream<T>::read(std::span<T> values) {
  std::size_t done = 0;
  while (done < values.size()) {
    if (next_ == buffer_.size()) refill();
    const std::size_t count = std::min(values.size() - done, buffer_.size() - next_);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(next_), count,
                values.begin() + static_cast<std::ptrdiff_t>(done));
    next_ += count;
    done += count;
  }
}

template <Real T>
void TorchNormalStream<T>::refill() {
  if (left_ == 0) throw std::invalid_argument("TorchNormalStream: read past its end");
  next_ = 0;
  if (!in_blocks_) {
    buffer_.resize(static_cast<std::size_t>(left_));
    for (T& value : buffer_) value = static_cast<T>(generator_->normal());
    left_ = 0;
    return;
  }
  // With a tail that is no full block torch draws (and drops) its uniforms, then redraws the last 16 places anew.
  const bool last = left_ < 2 * block;
  const Index count = last ? left_ : block;
  buffer_.resize(static_cast<std::size_t>(count));
  draw_block(*generator_, buffer_.data());
  if (last && count > block) {
    for (Index i = block; i < count; ++i) generator_->template uniform<T>();
    draw_block(*generator_, buffer_.data() + (count - block));
  }
  left_ -= count;
}

template class TorchNormalStream<float>;
template class TorchNormalStream<double>;

}  // namespace lowrank
