#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <lowrank/nn/evaluate.hpp>
#include <lowrank/nn/fit.hpp>
#include <lowrank/nn/forward_pass.hpp>
#include <numeric>
#include <stdexcept>

namespace lowrank {

int Evaluation::worst_class() const {
  return static_cast<int>(std::max_element(wrong_by_class.begin(), wrong_by_class.end()) - wrong_by_class.begin());
}

template <Real T>
Evaluation evaluate(const Mlp<T>& mlp, const Dataset& data, const LoraAdapter<T>* adapter,
                    const ProgressCallback& progress) {
  require_fit(mlp, data);
  const auto start = std::chrono::steady_clock::now();
  const Index total = data.size(), most = std::max<Index>(1, std::min<Index>(500, total));
  Device& device = mlp.device();
  const TrainingPrimitives<T>& primitives = device.template training<T>();
  ForwardPass<T> pass(mlp, adapter, most);
  const Buffer<std::int32_t> order(std::span<const std::int32_t>(data.members()), device);
  Buffer<std::int32_t> labels(most, device);
  Buffer<TrainingClock> clock(1, device);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(data.classes()), 0);
  Buffer<std::int64_t> wrong(std::span<const std::int64_t>(counts), device);
  clock.upload(std::array{TrainingClock{}});
  for (Index first = 0; first < total; first += most) {
    const Index n = std::min(most, total - first);
    primitives.gather(data.images(), order.data(), clock.data(), pass.inputs(n), labels.data());
    primitives.count_wrong(pass.run(n), labels.data(), wrong.data());
    primitives.advance(clock.data(), n);
    if (progress) progress({"evaluating", static_cast<double>(first + n) / static_cast<double>(total)});
  }
  wrong.download(counts);
  Evaluation result{
      .total = total, .wrong_by_class = {counts.begin(), counts.end()}, .total_by_class = data.class_counts()};
  result.wrong = std::accumulate(counts.begin(), counts.end(), Index{0});
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

template Evaluation evaluate(const Mlp<float>&, const Dataset&, const LoraAdapter<float>*, const ProgressCallback&);
template Evaluation evaluate(const Mlp<double>&, const Dataset&, const LoraAdapter<double>*, const ProgressCallback&);

}  // namespace lowrank
