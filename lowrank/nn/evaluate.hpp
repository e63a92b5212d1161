#pragma once

#include <lowrank/core/progress.hpp>
#include <lowrank/nn/dataset.hpp>
#include <lowrank/nn/lora.hpp>
#include <vector>

namespace lowrank {

struct Evaluation {
  Index total = 0;
  Index wrong = 0;
  std::vector<Index> wrong_by_class;  ///< of the samples of class c, how many were taken for another
  std::vector<Index> total_by_class;
  double seconds = 0;

  double accuracy() const { return total == 0 ? 0 : static_cast<double>(total - wrong) / static_cast<double>(total); }
  /// The class with the most wrong samples; the first of equals.
  int worst_class() const;
};

/// Classifies all samples, with an adapter or (nullptr) without. Throws std::invalid_argument when the images' size or
/// the number of classes does not fit the network, Error when the adapter's layers or shapes do not.
template <Real T>
Evaluation evaluate(const Mlp<T>& mlp, const Dataset& data, const LoraAdapter<T>* adapter = nullptr,
                    const ProgressCallback& progress = {});
template <Real T>
Evaluation evaluate(const AdaptedMlp<T>& mlp, const Dataset& data, const ProgressCallback& progress = {}) {
  return evaluate<T>(mlp.base(), data, mlp.active(), progress);
}

}  // namespace lowrank
