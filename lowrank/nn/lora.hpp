#pragma once

#include <lowrank/nn/mlp.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowrank {

/// s = alpha/r (Hu et al. 2021), or alpha/√r (rank-stabilized: Kalajdzievski 2023).
enum class LoraScaling { standard, rank_stabilized };

/// gaussian: A ~ N(0, 1), B = 0. kaiming: A ~ U(-1/√in, 1/√in), B = 0 (PEFT's default, kaiming_uniform with a = √5).
/// pissa: s·B·A = the r leading triplets of W (Meng, Wang, Zhang 2024), by truncated_svd; what is trained then is that
/// part of W itself.
enum class LoraInit { gaussian, kaiming, pissa };

std::string_view name(LoraInit init);
/// Throws std::invalid_argument for a name that is none of "gaussian", "kaiming", "pissa".
LoraInit lora_init(std::string_view name);

struct LoraOptions {
  Index rank = 1;
  double alpha = 1;
  LoraScaling scaling = LoraScaling::standard;
  LoraInit init = LoraInit::gaussian;
  std::vector<std::string> layers{};  ///< names of the layers to adapt; empty: all
  std::uint64_t seed = 0;             ///< of pissa's truncated SVD; the others draw from the RandomSource
};

/// The adapter of one layer: y = W·x + b + s·B·(A·x). With pissa the branch has 2r directions, of which the last r are
/// fixed: B = [B₁ -B₀], A = [A₁; A₀], so that the shared W stays as it is and W - s·B₀·A₀ is the residual of the paper.
template <Real T>
struct LoraLayer {
  Index layer;       ///< place in the base's layers
  std::string name;  ///< the base layer's name
  Matrix<T> A;       ///< [directions, in], by rows
  Matrix<T> B;       ///< [out, directions], by columns
  Index trained;     ///< the first so many directions are trained
  double scale;      ///< s

  Index directions() const { return A.rows(); }
  Index trainable_parameters() const { return trained * (A.cols() + B.rows()); }
};

/// Low-rank adapters for some layers of one base network.
template <Real T>
class LoraAdapter {
 public:
  /// Draws A of each adapted layer in the layers' order. Throws std::invalid_argument: rank below 1 or above a layer's
  /// smaller side, alpha not finite or not positive, a layer that the base does not have or that is named twice.
  LoraAdapter(const Mlp<T>& base, const LoraOptions& options, RandomSource& random);
  /// From parts, as a reader has them. Throws std::invalid_argument when the layers do not fit each other.
  LoraAdapter(std::vector<LoraLayer<T>> layers, Index rank, double alpha, LoraScaling scaling, LoraInit init,
              std::string base_digest);

  std::vector<LoraLayer<T>>& layers() { return layers_; }
  const std::vector<LoraLayer<T>>& layers() const { return layers_; }
  /// The adapter of the base's layer number `layer`, or nullptr.
  const LoraLayer<T>* of_layer(Index layer) const;
  LoraLayer<T>* of_layer(Index layer);

  Index rank() const { return rank_; }
  double alpha() const { return alpha_; }
  LoraScaling scaling() const { return scaling_; }
  LoraInit init() const { return init_; }
  /// s for this alpha and rank; each layer has its own, which differs only where PEFT's alpha_pattern or rank_pattern
  /// says so.
  double scale() const;
  Index trainable_parameters() const;
  /// Mlp::digest of the base it was made for; empty when not known (an adapter that PEFT wrote).
  const std::string& base_digest() const { return base_digest_; }

  /// Throws Error when the adapter is for another base: a layer that is missing or has another shape (both are named),
  /// or other weights.
  void check_base(const Mlp<T>& base) const;
  /// Looks at layers and shapes only.
  void check_shapes(const Mlp<T>& base) const;

 private:
  std::vector<LoraLayer<T>> layers_;
  Index rank_;
  double alpha_;
  LoraScaling scaling_;
  LoraInit init_;
  std::string base_digest_;
};

/// W += s·B·A for each adapted layer. Throws Error when the adapter is for another base.
template <Real T>
void merge(Mlp<T>& mlp, const LoraAdapter<T>& adapter);
/// W -= s·B·A: takes a merged adapter out again, within rounding. Throws Error when the shapes do not fit.
template <Real T>
void unmerge(Mlp<T>& mlp, const LoraAdapter<T>& adapter);

/// One base, shared and never changed, under several adapters of which one at a time, or none, is switched on.
template <Real T>
class AdaptedMlp {
 public:
  explicit AdaptedMlp(std::shared_ptr<const Mlp<T>> base);

  const Mlp<T>& base() const { return *base_; }
  /// Throws std::invalid_argument when the name is taken, Error when the adapter is for another base.
  void add(const std::string& name, std::shared_ptr<const LoraAdapter<T>> adapter);
  /// Throws std::invalid_argument listing the names when there is none such.
  void enable(const std::string& name);
  void disable() { active_.reset(); }
  std::optional<std::string> active_name() const;
  /// nullptr when none is on.
  const LoraAdapter<T>* active() const { return active_.get(); }

 private:
  std::shared_ptr<const Mlp<T>> base_;
  std::map<std::string, std::shared_ptr<const LoraAdapter<T>>> adapters_;
  std::shared_ptr<const LoraAdapter<T>> active_;
};

/// The logits [n, outputs] of inputs X [n, inputs] with an adapter; nullptr: the base's, to the bit. Throws Error when
/// the adapter's layers or shapes are not the network's.
template <Real T>
Matrix<T> logits(const Mlp<T>& base, const LoraAdapter<T>* adapter, MatrixView<const T> X);
template <Real T>
Matrix<T> logits(const AdaptedMlp<T>& mlp, MatrixView<const T> X) {
  return logits<T>(mlp.base(), mlp.active(), X);
}

}  // namespace lowrank
