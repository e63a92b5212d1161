#include <algorithm>
#include <cmath>
#include <lowrank/cpu/host_training.hpp>

// What training does to samples on the CPU: gathering, the loss, counting.

namespace lowrank {

template <Real T>
void HostTraining<T>::advance(TrainingClock* clock, Index batch) const {
  clock->step += 1;
  clock->next += batch;
}

template <Real T>
void HostTraining<T>::gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock,
                             MatrixView<T> X, std::int32_t* labels) const {
  // In float whatever T is, as torch normalizes.
  const float mean = static_cast<float>(images.mean), deviation = static_cast<float>(images.deviation);
  T numbers[256];
  for (int byte = 0; byte < 256; ++byte)
    numbers[byte] = static_cast<T>((static_cast<float>(byte) / 255.0F - mean) / deviation);
  const std::int32_t* chosen = order + clock->next;
  const auto one = [&](Index i) {
    const std::uint8_t* pixels = images.pixels + chosen[i] * images.features;
    T* x = X.data() + i * X.ld();
    for (Index j = 0; j < images.features; ++j) x[j] = numbers[pixels[j]];
    labels[i] = images.labels[chosen[i]];
  };
  if (X.rows() < 64) {  // no region of one thread, for which OpenMP would allocate memory
    for (Index i = 0; i < X.rows(); ++i) one(i);
    return;
  }
#pragma omp parallel for schedule(static)
  for (Index i = 0; i < X.rows(); ++i) one(i);
}

template <Real T>
void HostTraining<T>::softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels,
                                            MatrixView<T> gradient, T* losses, Index capacity,
                                            const TrainingClock* clock) const {
  const Index batch = logits.rows(), classes = logits.cols();
  T total = 0;
  for (Index i = 0; i < batch; ++i) {
    const T* z = logits.data() + i * logits.ld();
    const T top = *std::max_element(z, z + classes);
    T sum = 0;
    for (Index c = 0; c < classes; ++c) sum += std::exp(z[c] - top);
    total += std::log(sum) + top - z[labels[i]];
    if (gradient.empty()) continue;
    T* g = gradient.data() + i * gradient.ld();
    for (Index c = 0; c < classes; ++c)
      g[c] = (std::exp(z[c] - top) / sum - (c == labels[i] ? T(1) : T(0))) / static_cast<T>(batch);
  }
  losses[clock->step % capacity] = total / static_cast<T>(batch);
}

template <Real T>
void HostTraining<T>::count_wrong(MatrixView<const T> logits, const std::int32_t* labels, std::int64_t* wrong) const {
  for (Index i = 0; i < logits.rows(); ++i) {
    const T* z = logits.data() + i * logits.ld();
    Index best = 0;
    bool comparable = !std::isnan(z[0]);
    for (Index c = 1; c < logits.cols(); ++c) {
      comparable = comparable && !std::isnan(z[c]);
      if (z[c] > z[best]) best = c;
    }
    if (!comparable || best != labels[i]) ++wrong[labels[i]];
  }
}

// The class as a whole is instantiated in training_host.cpp.
#define LOWRANK_INSTANTIATE(T)                                                                                       \
  template void HostTraining<T>::advance(TrainingClock*, Index) const;                                               \
  template void HostTraining<T>::gather(const ByteImages&, const std::int32_t*, const TrainingClock*, MatrixView<T>, \
                                        std::int32_t*) const;                                                        \
  template void HostTraining<T>::softmax_cross_entropy(MatrixView<const T>, const std::int32_t*, MatrixView<T>, T*,  \
                                                       Index, const TrainingClock*) const;                           \
  template void HostTraining<T>::count_wrong(MatrixView<const T>, const std::int32_t*, std::int64_t*) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
