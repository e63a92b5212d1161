#pragma once

#include <lowrank/nn/mlp.hpp>
#include <optional>
#include <string>

namespace lowrank {

/// Writes `<layer>.weight` [out, in] and `<layer>.bias` [out] of every layer as safetensors: torch loads it by
/// load_state_dict(strict=True). Sizes and activation stand in the metadata. Whole or not at all. Throws Error.
template <Real T>
void save_mlp(const std::string& path, const Mlp<T>& mlp);

/// Reads such a file, whoever wrote it; F16, BF16 and F64 are converted. Layers come in the order of the metadata
/// "layers"; or else of the numbers in their names, where these differ in nothing else; or else in the only order in
/// which their shapes chain. Throws Error: a weight without bias or the other way, other tensors, shapes that
/// do not chain or chain in several orders, NaN or Inf in a tensor, another activation than relu.
template <Real T>
Mlp<T> load_mlp(const std::string& path, Device& device = host_device());

/// How far a training is, and what it needs beside its parameters to go on.
struct TrainingProgress {
  Optimizer optimizer{};
  Index batch = 0;
  Index step = 0;  ///< updates made
  Index next = 0;  ///< place in the current epoch's order
  Index epochs_begun = 0;
  double loss_sum = 0, running_loss = 0;
  RandomKind random = RandomKind::philox;
  std::uint64_t seed = 0;
  std::string history{};  ///< RandomSource::history() before the current epoch's order was drawn
  std::string data_digest{};
  /// Of the network that stood in the checkpoint's file before; empty when there was none.
  std::string replaced_digest{};
};

/// Parameters and Adam's moments (without layers for SGD), and how far training is.
template <Real T>
struct TrainingState {
  TrainingProgress progress;
  std::vector<Linear<T>> parameters, m, v;
};

/// base.safetensors -> base.state.safetensors.
std::string state_path(const std::string& checkpoint);

/// The state is one file and complete in itself: a process killed between two files leaves nothing torn. It is written
/// as T, so that nothing is rounded. Throws Error.
template <Real T>
void save_state(const std::string& path, const TrainingProgress& progress, const std::vector<Linear<T>>& parameters,
                const std::vector<Linear<T>>& m, const std::vector<Linear<T>>& v);
/// Throws Error naming what is missing or does not fit.
template <Real T>
TrainingState<T> load_state(const std::string& path, Device& device = host_device());

}  // namespace lowrank
