#pragma once

#include <cstdint>
#include <lowrank/core/types.hpp>
#include <optional>
#include <random>
#include <span>
#include <vector>

namespace lowrank {

/// PyTorch's CPU generator: the same seed gives the numbers torch.manual_seed(seed) gives, in the same order.
/// Integers, uniforms and permutations agree to the bit. Normals agree to rounding: torch evaluates log, sin and
/// cos by polynomials where the CPU has AVX2, so their last bits differ.
/// Source: ATen/core/MT19937RNGEngine.h, TransformationHelper.h, DistributionsHelper.h and
/// native/cpu/DistributionTemplates.h. Copyable: a copy goes on from the same place. Not for several threads at once.
class TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed = 0) { this->seed(seed); }

  /// Starts again from `seed`, of which torch uses the low 32 bits.
  void seed(std::uint64_t seed);

  std::uint32_t random() { return static_cast<std::uint32_t>(engine_()); }
  /// Two draws, the first is the high half.
  std::uint64_t random64();

  /// torch.rand(1): uniform in [0, 1), 24 bits for float, 53 for double.
  template <Real T>
  T uniform();
  /// Tensor.uniform_(from, to): u*(to - from) + from in the tensor's type, the last two operations fused.
  void uniform(std::span<float> values, float from = 0, float to = 1);
  void uniform(std::span<double> values, double from = 0, double to = 1);

  /// torch.randn(n), a tensor's entries in row order. From 16 numbers on torch fills them in blocks of 16; fewer are
  /// drawn one by one, in pairs, and the second of a pair is kept for the next such call.
  void normal(std::span<float> values);
  void normal(std::span<double> values);
  /// One normal of the one-by-one kind.
  double normal();
  /// Leaves the generator as torch.randn(count) of this type would.
  template <Real T>
  void skip_normal(Index count);

  /// torch.randperm(n). Throws std::invalid_argument for n < 0 and for n >= 2^32/20, from where torch shuffles in
  /// another way.
  std::vector<Index> randperm(Index n);

  /// The order in which a DataLoader(shuffle=True) of n examples serves them in its next epoch: draws the loader's
  /// base seed, then the sampler's seed, which starts a generator of its own for randperm(n).
  std::vector<Index> epoch_order(Index n);

 private:
  std::mt19937 engine_;
  std::optional<double> kept_normal_;
};

/// The numbers of one torch.randn(total), read piece by piece in order, so that a tensor larger than memory can be
/// made. Reading past the end throws std::invalid_argument. The generator must outlive the stream.
template <Real T>
class TorchNormalStream {
 public:
  TorchNormalStream(TorchGenerator& generator, Index total);
  void read(std::span<T> values);

 private:
  void refill();

  TorchGenerator* generator_;
  Index left_;  // numbers not yet in the buffer
  bool in_blocks_;
  std::vector<T> buffer_;
  std::size_t next_ = 0;
};

}  // namespace lowrank
