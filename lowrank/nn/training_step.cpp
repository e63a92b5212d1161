#include <algorithm>
#include <lowrank/core/primitives.hpp>
#include <lowrank/nn/storage.hpp>
#include <lowrank/nn/training_step.hpp>

namespace lowrank {
namespace {

template <Real T>
std::vector<Linear<T>> zeros_like(const Mlp<T>& mlp) {
  std::vector<Linear<T>> zeros;
  for (const Linear<T>& layer : mlp.layers()) {
    const auto padded = layer.weight.order() == Order::row_major ? padded_rows<T> : padded_columns<T>;
    zeros.push_back(
        {layer.name, padded(layer.out(), layer.in(), mlp.device()), Matrix<T>(layer.out(), 1, mlp.device())});
    fill<T>(zeros.back().bias, T(0));
  }
  return zeros;
}

}  // namespace

template <Real T>
TrainingStep<T>::TrainingStep(const Mlp<T>& mlp, const LoraAdapter<T>* adapter, Index most)
    : mlp_(&mlp), pass_(mlp, adapter, most) {
  for (const Linear<T>& layer : mlp.layers()) gradients_.push_back(padded_rows<T>(most, layer.out(), mlp.device()));
}

template <Real T>
std::span<T> TrainingStep<T>::scratch() {
  if (scratch_.size() < wanted_) scratch_ = Matrix<T>(wanted_, 1, mlp_->device());
  return {scratch_.data(), static_cast<std::size_t>(scratch_.size())};
}

template <Real T>
FullStep<T>::FullStep(Mlp<T>& mlp, Index most, UpdateRule rule) : TrainingStep<T>(mlp, nullptr, most), trained_(&mlp) {
  hold_by_columns(most);
  if (rule == UpdateRule::adam) {
    m_ = zeros_like(mlp);
    v_ = zeros_like(mlp);
    let_wait(most);
  }
  for (const Linear<T>& layer : mlp.layers())
    this->reserve_scratch(this->device().scratch_size(most, layer.out(), layer.in()));
  this->scratch();
}

template <Real T>
FullStep<T>::~FullStep() {
  for (std::size_t l = 0; l < by_rows_.size(); ++l) {
    if (by_rows_[l].empty()) continue;
    Matrix<T>& weight = trained_->layers()[l].weight;
    copy<T>(weight, by_rows_[l]);
    weight = std::move(by_rows_[l]);
  }
}

template <Real T>
void FullStep<T>::hold_by_columns(Index most) {
  for (std::size_t l = 0; l < trained_->layers().size(); ++l) {
    Matrix<T>& weight = trained_->layers()[l].weight;
    by_rows_.emplace_back();
    // The input of the first layer does not come from ReLU; entries that are not finite must meet the zeros too.
    if (l == 0 || !this->device().gains_by_columns(most, weight.rows()) || first_nonfinite<T>(weight)) continue;
    Matrix<T> turned = padded_columns<T>(weight.rows(), weight.cols(), weight.device());
    copy<T>(weight, turned);
    by_rows_.back() = std::exchange(weight, std::move(turned));
  }
}

template <Real T>
void FullStep<T>::let_wait(Index most) {
  for (std::size_t l = 0; l < trained_->layers().size(); ++l) {
    const bool gains = !by_rows_[l].empty() && this->device().gains_by_waiting(most);
    const std::vector<std::int64_t> none(gains ? static_cast<std::size_t>(by_rows_[l].cols()) : 0, -1);
    owed_since_.emplace_back(std::span<const std::int64_t>(none), trained_->device());
  }
}

template <Real T>
bool FullStep<T>::waits(std::size_t layer) const {
  return !owed_since_.empty() && owed_since_[layer].size() > 0;
}

template <Real T>
Owing<T> FullStep<T>::owing(std::size_t layer) {
  return {{trained_->layers()[layer].weight, m_[layer].weight, v_[layer].weight}, owed_since_[layer].data()};
}

template <Real T>
MatrixView<const T> FullStep<T>::forward(Index n, const Optimizer& optimizer, const TrainingClock* clock) {
  for (Index l = 0; l < trained_->depth(); ++l) {
    const auto layer = static_cast<std::size_t>(l);
    if (waits(layer))
      this->device().owing_forward(this->pass_.inputs_of(l, n), owing(layer), optimizer, clock,
                                   trained_->layers()[layer].bias, this->pass_.activation(l),
                                   this->pass_.outputs_of(l, n));
    else
      this->pass_.run_layer(l, n);
  }
  return this->pass_.inputs_of(trained_->depth(), n);
}

template <Real T>
void FullStep<T>::settle(const Optimizer& optimizer, const TrainingClock* clock) {
  for (std::size_t l = 0; l < owed_since_.size(); ++l)
    if (waits(l)) this->device().catch_up(owing(l), optimizer, clock);
}

template <Real T>
void FullStep<T>::backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) {
  for (Index l = trained_->depth() - 1; l >= 0; --l) {
    const auto layer = static_cast<std::size_t>(l);
    Linear<T>& linear = trained_->layers()[layer];
    LinearBackward<T> back{.dY = this->gradient(l, n),
                           .X = this->pass_.inputs_of(l, n),
                           .W = linear.weight,
                           .weight = {linear.weight, {}, {}},
                           .bias = {linear.bias, {}, {}}};
    if (!m_.empty()) {
      back.weight = {linear.weight, m_[layer].weight, v_[layer].weight};
      back.bias = {linear.bias, m_[layer].bias, v_[layer].bias};
      back.owed_since = owed_since_[layer].data();
    }
    if (l > 0) back.dX = this->gradient(l - 1, n);
    this->device().linear_backward(back, optimizer, clock, this->scratch());
  }
}

template <Real T>
bool FullStep<T>::finite() const {
  return std::all_of(trained_->layers().begin(), trained_->layers().end(), [](const Linear<T>& layer) {
    return !first_nonfinite<T>(layer.weight) && !first_nonfinite<T>(layer.bias);
  });
}

template <Real T>
LoraStep<T>::LoraStep(const Mlp<T>& base, LoraAdapter<T>& adapter, Index most, UpdateRule rule)
    : TrainingStep<T>(base, &adapter, most), adapter_(&adapter), lowest_(base.depth()) {
  Device& device = base.device();
  this->pass_.freeze();
  for (Index l = 0; l < base.depth(); ++l) {
    const LoraLayer<T>* side = adapter.of_layer(l);
    const Linear<T>& linear = base.layers()[static_cast<std::size_t>(l)];
    const Index directions = side == nullptr ? 0 : side->directions(), trained = side == nullptr ? 0 : side->trained;
    const Index moments = rule == UpdateRule::adam ? trained : 0;
    if (side != nullptr) lowest_ = std::min(lowest_, l);
    side_gradients_.push_back(padded_rows<T>(side == nullptr ? 0 : most, directions, device));
    of_A_.push_back({padded_rows<T>(moments, linear.in(), device), padded_rows<T>(moments, linear.in(), device)});
    of_B_.push_back({padded_rows<T>(moments, linear.out(), device), padded_rows<T>(moments, linear.out(), device)});
    this->reserve_scratch(this->device().scratch_size(most, linear.out(), linear.in()));
    this->reserve_scratch(this->device().scratch_size(most, trained, linear.in()));
    this->reserve_scratch(this->device().scratch_size(most, trained, linear.out()));
  }
  this->scratch();
}

template <Real T>
void LoraStep<T>::backward(Index n, const Optimizer& optimizer, const TrainingClock* clock) {
  for (Index l = adapter_->layers().empty() ? 0 : this->mlp_->depth() - 1; l >= lowest_; --l) {
    const auto layer = static_cast<std::size_t>(l);
    LoraLayer<T>* side = adapter_->of_layer(l);
    const MatrixView<const T> dY = this->gradient(l, n);
    const MatrixView<T> dH = side_gradients_[layer].view().middle_rows(0, side == nullptr ? 0 : n);
    if (side != nullptr)
      this->device().linear_forward(static_cast<T>(side->scale), dY, side->B.view().transposed(), {}, {}, {},
                                    Activation::identity, dH);
    if (l > lowest_) {
      LinearBackward<T> back{.dY = dY, .X = this->pass_.inputs_of(l, n), .W = this->pass_.weights_of(l)};
      if (side != nullptr) {
        back.dH = dH;
        back.A = side->A;
      }
      back.dX = this->gradient(l - 1, n);
      this->device().linear_backward(back, optimizer, clock, this->scratch());
    }
    if (side != nullptr) follow(*side, layer, n, optimizer, clock);
  }
}

template <Real T>
void LoraStep<T>::follow(LoraLayer<T>& side, std::size_t layer, Index n, const Optimizer& optimizer,
                         const TrainingClock* clock) {
  const Index l = static_cast<Index>(layer), r = side.trained;
  const MatrixView<const T> dY = this->gradient(l, n), X = this->pass_.inputs_of(l, n), H = this->pass_.side_of(l, n);
  const MatrixView<const T> dH = side_gradients_[layer].view().middle_rows(0, n);
  const Trained<T> A{side.A.view().middle_rows(0, r), of_A_[layer].m, of_A_[layer].v};
  const Trained<T> Bt{side.B.view().transposed().middle_rows(0, r), of_B_[layer].m, of_B_[layer].v};
  this->device().update(dH.left_cols(r), X, A, optimizer, clock, this->scratch());
  this->device().update(H.left_cols(r), dY, Bt, optimizer, clock, this->scratch());
}

template <Real T>
bool LoraStep<T>::finite() const {
  return std::all_of(adapter_->layers().begin(), adapter_->layers().end(), [](const LoraLayer<T>& layer) {
    return !first_nonfinite<T>(layer.A) && !first_nonfinite<T>(layer.B);
  });
}

template class TrainingStep<float>;
template class TrainingStep<double>;
template class FullStep<float>;
template class FullStep<double>;
template class LoraStep<float>;
template class LoraStep<double>;

}  // namespace lowrank
