#include <array>
#include <lowrank/nn/storage.hpp>
#include <lowrank/nn/training_step.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

const std::vector<std::int32_t> true_classes{2, 0, 3, 1, 1, 2, 0};
const Index sample_count = static_cast<Index>(true_classes.size());

/// The loss, computed here from its definition: mean of logsumexp(logits) - logit of the class.
double loss(const Mlp<double>& mlp, const LoraAdapter<double>* adapter, const Matrix<double>& X) {
  const Matrix<double> z = to_host<double>(logits<double>(mlp, adapter, X));
  double total = 0;
  for (Index i = 0; i < sample_count; ++i) {
    double sum = 0;
    for (Index c = 0; c < z.cols(); ++c) sum += std::exp(z(i, c));
    total += std::log(sum) - z(i, true_classes[static_cast<std::size_t>(i)]);
  }
  return total / static_cast<double>(sample_count);
}

/// A step of SGD with rate 1: parameters lose their gradient.
double sgd_step(TrainingStep<double>& step, const Matrix<double>& X) {
  const TrainingPrimitives<double>& device = check::device().training<double>();
  copy<double>(X, step.inputs(sample_count));
  const std::array start{TrainingClock{}};
  std::array<double, 1> value{};
  const Buffer<std::int32_t> labels(std::span<const std::int32_t>(true_classes), check::device());
  const Buffer<TrainingClock> clock(std::span<const TrainingClock>(start), check::device());
  Buffer<double> losses(1, check::device());
  const Optimizer descent{.rule = UpdateRule::sgd, .lr = 1};
  const MatrixView<const double> z = step.forward(sample_count, descent, clock.data());
  device.softmax_cross_entropy(z, labels.data(), step.logit_gradient(sample_count), losses.data(), 1, clock.data());
  step.backward(sample_count, descent, clock.data());
  losses.download(value);
  return value[0];
}

/// Compares before - after with central differences of `at` for entries of p spread over it. `p` holds the values
/// before.
template <class Loss>
void check_gradient(MatrixView<double> p, const Matrix<double>& after, Loss&& at) {
  const double h = 1e-5;
  const double scale = largest_difference<double>(p, after);
  REQUIRE(scale > 1e-6);
  for (Index k = 0; k < p.size(); k += std::max<Index>(1, p.size() / 40)) {
    const Index i = k / p.cols(), j = k % p.cols();
    const double kept = check::entry(p, i, j);
    check::set_entry(p, i, j, kept + h);
    const double above = at();
    check::set_entry(p, i, j, kept - h);
    const double below = at();
    check::set_entry(p, i, j, kept);
    CHECK(std::abs((kept - after(i, j)) - (above - below) / (2 * h)) < 1e-7 * std::max(1.0, scale));
  }
}

}  // namespace

TEST_CASE("gradients of every layer, and the loss, agree with finite differences") {
  const Matrix<double> X = samples<double>(sample_count, 9);
  Mlp<double> before = network<double>({9, 21, 70, 4}), after = before.clone();
  FullStep<double> step(after, sample_count, UpdateRule::sgd);
  CHECK(sgd_step(step, X) == doctest::Approx(loss(before, nullptr, X)).epsilon(1e-13));
  for (std::size_t l = 0; l < 3; ++l) {
    CAPTURE(l);
    check_gradient(before.layers()[l].weight, to_host<double>(after.layers()[l].weight),
                   [&] { return loss(before, nullptr, X); });
    check_gradient(before.layers()[l].bias, to_host<double>(after.layers()[l].bias),
                   [&] { return loss(before, nullptr, X); });
  }
}

TEST_CASE("gradients of adapters agree with finite differences") {
  const Matrix<double> X = samples<double>(sample_count, 9);
  const Mlp<double> base = network<double>({9, 21, 70, 4});
  const std::vector<std::vector<std::string>> subsets{{}, {"linear2"}, {"linear1", "linear3"}};
  for (const LoraInit init : {LoraInit::gaussian, LoraInit::kaiming, LoraInit::pissa})
    for (const auto& layers : subsets) {
      const LoraOptions options{.rank = 2, .alpha = 3, .init = init, .layers = layers};
      RandomSource random(RandomKind::philox, 5), again(RandomKind::philox, 5);
      LoraAdapter<double> before(base, options, random), after(base, options, again);
      for (LoraAdapter<double>* each : {&before, &after})  // B = 0 would leave A without a gradient
        for (LoraLayer<double>& layer : each->layers())
          if (init != LoraInit::pissa) fill_normal<double>(layer.B, 6, static_cast<std::uint64_t>(layer.layer));
      LoraStep<double> step(base, after, sample_count, UpdateRule::sgd);
      CHECK(sgd_step(step, X) == doctest::Approx(loss(base, &before, X)).epsilon(1e-12));
      for (std::size_t i = 0; i < before.layers().size(); ++i) {
        LoraLayer<double>&old = before.layers()[i], &now = after.layers()[i];
        CAPTURE(old.name);
        const Index r = old.trained;
        check_gradient(old.A.view().middle_rows(0, r), to_host<double>(now.A.view().middle_rows(0, r)),
                       [&] { return loss(base, &before, X); });
        check_gradient(old.B.left_cols(r), to_host<double>(now.B.left_cols(r)), [&] { return loss(base, &before, X); });
        // What is fixed stays as it is.
        const Index fixed = old.directions() - r;
        CHECK(largest_difference<double>(old.A.view().middle_rows(r, fixed), now.A.view().middle_rows(r, fixed)) == 0);
        CHECK(largest_difference<double>(old.B.view().middle_cols(r, fixed), now.B.view().middle_cols(r, fixed)) == 0);
      }
    }
}
