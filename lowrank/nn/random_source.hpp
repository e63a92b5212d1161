#pragma once

#include <cstdint>
#include <lowrank/gen/torch_generator.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lowrank {

/// philox: counter-based, see core/random.hpp. torch: the numbers of PyTorch's CPU generator, in its order.
enum class RandomKind { philox, torch };

std::string_view name(RandomKind kind);
/// Throws std::invalid_argument for a name that is neither "philox" nor "torch".
RandomKind random_kind(std::string_view name);

/// The random numbers of a training run, drawn one tensor after another: initial weights, then the order of each epoch.
/// It remembers what was drawn, so that a resumed run can draw on from the same place. Not for several threads at once.
class RandomSource {
 public:
  RandomSource(RandomKind kind, std::uint64_t seed) : kind_(kind), seed_(seed), torch_(seed) {}

  RandomKind kind() const { return kind_; }
  std::uint64_t seed() const { return seed_; }

  void uniform(std::span<float> values, float from, float to);
  void uniform(std::span<double> values, double from, double to);
  void normal(std::span<float> values);
  void normal(std::span<double> values);
  /// The order in which the next epoch visits n samples (torch: as DataLoader(shuffle=True) does).
  std::vector<Index> epoch_order(Index n);

  /// What was drawn, as text, e.g. "uf784000*1 uf1000*1 e60000*3".
  std::string history() const;
  /// A source that has drawn `history`. Costs about as much as drawing did. Throws Error for a text that is no history.
  static RandomSource replay(RandomKind kind, std::uint64_t seed, const std::string& history);

 private:
  struct Draw {
    std::string what;
    Index size, times;
  };
  void note(std::string_view what, Index size);
  template <Real T>
  void draw_uniform(std::span<T> values, T from, T to);
  template <Real T>
  void draw_normal(std::span<T> values);
  void repeat(const Draw& draw);

  RandomKind kind_;
  std::uint64_t seed_;
  TorchGenerator torch_;
  std::uint64_t stream_ = 0;  // philox: one for each tensor
  std::vector<Draw> draws_;
};

}  // namespace lowrank
