#include <lowrank/nn/storage.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

std::shared_ptr<const Mlp<float>> shared_base() { return std::make_shared<const Mlp<float>>(network({25, 40, 30, 4})); }

/// W·x with W' = W + s·B·A formed in double.
Mlp<double> dense(const Mlp<float>& base, const LoraAdapter<float>& adapter) {
  Mlp<double> mlp(base.sizes());
  for (std::size_t l = 0; l < base.layers().size(); ++l) {
    const Linear<float>& from = base.layers()[l];
    const Matrix<float> weight = to_host<float>(from.weight), bias = to_host<float>(from.bias);
    const LoraLayer<float>* side = adapter.of_layer(static_cast<Index>(l));
    const Index directions = side == nullptr ? 0 : side->directions();
    const Matrix<float> B = side == nullptr ? Matrix<float>() : to_host<float>(side->B),
                        A = side == nullptr ? Matrix<float>() : to_host<float>(side->A);
    for (Index i = 0; i < from.out(); ++i) {
      mlp.layers()[l].bias(i, 0) = bias(i, 0);
      for (Index j = 0; j < from.in(); ++j) {
        double w = weight(i, j);
        for (Index k = 0; k < directions; ++k) w += side->scale * static_cast<double>(B(i, k)) * A(k, j);
        mlp.layers()[l].weight(i, j) = w;
      }
    }
  }
  return mlp;
}

Matrix<double> in_double(const Matrix<float>& on_device) {
  const Matrix<float> X = to_host<float>(on_device);
  Matrix<double> wide(X.rows(), X.cols(), Order::row_major);
  for (Index i = 0; i < X.rows(); ++i)
    for (Index j = 0; j < X.cols(); ++j) wide(i, j) = X(i, j);
  return wide;
}

bool same_values(const Matrix<float>& a, const Matrix<float>& b) {
  return gen_check::same_bits(to_host<float>(a), to_host<float>(b));
}

}  // namespace

TEST_CASE("an adapter computes with W + s·B·A, for every initialization and scaling") {
  const auto base = shared_base();
  const Matrix<float> X = samples<float>(33, 25);
  for (const LoraInit init : {LoraInit::gaussian, LoraInit::kaiming, LoraInit::pissa})
    for (const LoraScaling scaling : {LoraScaling::standard, LoraScaling::rank_stabilized}) {
      const LoraAdapter<float> adapter =
          trained_adapter(*base, {.rank = 3, .alpha = 2, .scaling = scaling, .init = init});
      CHECK(adapter.scale() == doctest::Approx(scaling == LoraScaling::standard ? 2.0 / 3 : 2 / std::sqrt(3.0)));
      const Matrix<double> expected = logits<double>(dense(*base, adapter), in_double(X));
      const Matrix<float> found = logits<float>(*base, &adapter, X);
      CHECK(largest_difference<double>(in_double(found), expected) < 1e-4 * frobenius_norm<double>(expected));
      CHECK(largest_difference<float>(found, logits<float>(*base, X)) > 1e-3);  // it does something
    }
}

TEST_CASE("a new adapter changes nothing: B is zero, and pissa's branch cancels") {
  const auto base = shared_base();
  const Matrix<float> X = samples<float>(9, 25), without = logits<float>(*base, X);
  for (const LoraInit init : {LoraInit::gaussian, LoraInit::kaiming, LoraInit::pissa}) {
    RandomSource random(RandomKind::philox, 1);
    const LoraAdapter<float> adapter(*base, {.rank = 2, .init = init}, random);
    const double difference = largest_difference<float>(logits<float>(*base, &adapter, X), without);
    CHECK(difference <= (init == LoraInit::pissa ? 1e-5 : 0.0));
  }
}

TEST_CASE("pissa begins with the leading triplets of W") {
  const auto base = shared_base();
  RandomSource random(RandomKind::philox, 1);
  const LoraAdapter<float> adapter(*base, {.rank = 4, .alpha = 8, .init = LoraInit::pissa}, random);
  for (const LoraLayer<float>& layer : adapter.layers()) {
    const Matrix<float>& W = base->layers()[static_cast<std::size_t>(layer.layer)].weight;
    Matrix<float> rest = W.clone();
    multiply<float>(static_cast<float>(-layer.scale), layer.B.left_cols(4), layer.A.view().middle_rows(0, 4), 1.0F,
                    rest);
    const auto all = thin_svd<float>(W, Vectors::none).S, left = thin_svd<float>(rest, Vectors::none).S;
    CAPTURE(layer.name);
    const float next = all.size() > 4 ? all[4] : 0;
    CHECK(std::abs(left[0] - next) < 1e-4F * all[0]);
  }
}

TEST_CASE("several adapters over one base: switched, off to the bit, the base untouched") {
  const auto base = shared_base();
  const std::string digest = base->digest();
  const Matrix<float> X = samples<float>(12, 25), plain = logits<float>(*base, X);
  const auto one = std::make_shared<const LoraAdapter<float>>(trained_adapter(*base, {.rank = 1}, 1));
  const auto two =
      std::make_shared<const LoraAdapter<float>>(trained_adapter(*base, {.rank = 2, .layers = {"linear2"}}, 2));
  AdaptedMlp<float> mlp(base);
  mlp.add("one", one);
  mlp.add("two", two);
  CHECK(!mlp.active_name());
  CHECK(same_values(logits(mlp, X.view()), plain));
  mlp.enable("one");
  const Matrix<float> with_one = logits(mlp, X.view());
  mlp.enable("two");
  CHECK(*mlp.active_name() == "two");
  CHECK(!same_values(logits(mlp, X.view()), with_one));
  mlp.enable("one");
  CHECK(same_values(logits(mlp, X.view()), with_one));
  mlp.disable();
  CHECK(same_values(logits(mlp, X.view()), plain));
  CHECK(base->digest() == digest);
  CHECK(has(message<std::invalid_argument>([&] { mlp.enable("three"); }), "one, two"));
  CHECK(has(message<std::invalid_argument>([&] { mlp.add("one", two); }), "taken"));
}

TEST_CASE("merged equals the adapter within rounding, taken out again the weights are back") {
  const auto base = shared_base();
  const Matrix<float> X = samples<float>(12, 25);
  for (const LoraInit init : {LoraInit::gaussian, LoraInit::pissa}) {
    const LoraAdapter<float> adapter = trained_adapter(*base, {.rank = 2, .init = init});
    Mlp<float> merged = base->clone();
    merge(merged, adapter);
    const Matrix<float> expected = logits<float>(*base, &adapter, X);
    CHECK(largest_difference<float>(logits<float>(merged, X), expected) < 1e-5 * frobenius_norm<float>(expected));
    CHECK(largest_difference<float>(merged.layers()[0].weight, base->layers()[0].weight) > 1e-4);
    unmerge(merged, adapter);
    for (std::size_t l = 0; l < 3; ++l)
      CHECK(largest_difference<float>(merged.layers()[l].weight, base->layers()[l].weight) < 1e-5);
  }
}

TEST_CASE("an adapter for another base or shape is refused, and impossible wishes") {
  const auto base = shared_base();
  const Mlp<float> same_shape = network({25, 40, 30, 4}, 99), other_shape = network({25, 41, 30, 4}),
                   shallow = network({25, 40, 4});
  LoraAdapter<float> adapter = trained_adapter(*base, {.rank = 2});
  RandomSource random(RandomKind::philox, 1);
  CHECK(has(message<Error>([&] { adapter.check_base(same_shape); }), "another base"));
  CHECK(has(message<Error>([&] { adapter.check_base(other_shape); }), "40 x 25, the network's is 41 x 25"));
  CHECK(has(message<Error>([&] { adapter.check_base(shallow); }), "linear"));
  CHECK_THROWS_AS(train_adapter(same_shape, adapter, dataset(), random, {}), Error);
  for (const Mlp<float>* other : {&other_shape, &shallow}) {
    CHECK_THROWS_AS(evaluate<float>(*other, dataset(), &adapter), Error);
    CHECK_THROWS_AS(logits<float>(*other, &adapter, Matrix<float>(3, 25, Order::row_major, check::device())), Error);
  }
  Mlp<float> unfit = same_shape.clone();
  unfit.layers()[1].weight = Matrix<float>(30, 60, Order::row_major, check::device());
  CHECK_THROWS_AS(logits<float>(unfit, Matrix<float>(3, 25, Order::row_major, check::device())), std::invalid_argument);
  std::vector<LoraLayer<float>> twice;
  for (int i = 0; i < 2; ++i)
    twice.push_back({0, "linear1", Matrix<float>(2, 25, Order::row_major), Matrix<float>(40, 2), 2, 1.0});
  CHECK_THROWS_AS((LoraAdapter<float>(std::move(twice), 2, 1, LoraScaling::standard, LoraInit::gaussian, "")),
                  std::invalid_argument);
  Mlp<float> wrong = same_shape.clone();
  CHECK_THROWS_AS(merge(wrong, adapter), Error);
  CHECK(wrong.digest() == same_shape.digest());
  AdaptedMlp<float> mlp(std::make_shared<const Mlp<float>>(same_shape.clone()));
  CHECK_THROWS_AS(mlp.add("wrong", std::make_shared<const LoraAdapter<float>>(trained_adapter(*base, {}))), Error);

  const auto refused = [&](const LoraOptions& options) {
    return message<std::invalid_argument>([&] { LoraAdapter<float>(*base, options, random); });
  };
  CHECK(has(refused({.rank = 5}), "rank 5 is above the smaller side of linear3 (4 x 30)"));
  CHECK(has(refused({.rank = 0}), "rank 0"));
  CHECK(has(refused({.alpha = std::numeric_limits<double>::quiet_NaN()}), "alpha"));
  CHECK(has(refused({.layers = {"linear9"}}), "there is no layer linear9 (there are linear1, linear2, linear3)"));
  CHECK(has(refused({.layers = {"linear1", "linear1"}}), "twice"));
  CHECK_NOTHROW(LoraAdapter<float>(*base, {.rank = 5, .layers = {"linear1"}}, random));
}
