#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <lowrank/core/random.hpp>
#include <lowrank/nn/dataset.hpp>
#include <lowrank/nn/evaluate.hpp>
#include <lowrank/nn/lora.hpp>
#include <lowrank/nn/storage.hpp>
#include <lowrank/nn/trainer.hpp>
#include <memory>
#include <vector>

#include "device.hpp"
#include "gen/gen_check.hpp"
#include "io/files.hpp"
#include "skip.hpp"

namespace nn_check {

using namespace lowrank;
using gen_check::Threads;
using io_test::has;
using io_test::message;
using io_test::TemporaryFolder;

inline std::string mnist() { return SHARED_FOLDER "/data/mnist"; }
inline bool has_mnist() { return std::filesystem::is_directory(mnist()); }

/// Noisy images of side×side pixels in which the class is bright; class i mod classes.
inline IdxImages images(Index count, Index side, int classes) {
  IdxImages made{count, side, side, {}};
  const Philox philox(7, 7);
  for (Index i = 0; i < count; ++i)
    for (Index j = 0; j < side * side; ++j) {
      const auto noise = philox.word(static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(j)) >> 57;
      made.pixels.push_back(static_cast<std::uint8_t>(noise + (j % classes == i % classes ? 120 : 0)));
    }
  return made;
}

inline std::vector<std::uint8_t> labels(Index count, int classes) {
  std::vector<std::uint8_t> made;
  for (Index i = 0; i < count; ++i) made.push_back(static_cast<std::uint8_t>(i % classes));
  return made;
}

inline Dataset dataset(Index count = 205, Index side = 5, int classes = 4) {
  return Dataset(images(count, side, classes), labels(count, classes), classes, check::device());
}

template <Real T = float>
Mlp<T> network(const std::vector<Index>& sizes, std::uint64_t seed = 1) {
  RandomSource random(RandomKind::philox, seed);
  Mlp<T> mlp(sizes, check::device());
  initialize(mlp, random);
  return mlp;
}

/// What on_step sees.
struct Losses {
  std::vector<double> values;
  std::function<Continue(const StepReport&)> record() {
    return [this](const StepReport& report) {
      values.push_back(report.loss);
      return Continue::yes;
    };
  }
};

template <Real T>
double largest_difference(MatrixView<const T> on_device, MatrixView<const T> other) {
  const Matrix<T> a = to_host<T>(on_device), b = to_host<T>(other);
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  double worst = 0;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j)
      worst = std::max(worst, std::abs(static_cast<double>(a(i, j)) - static_cast<double>(b(i, j))));
  return worst;
}

template <Real T>
Matrix<T> samples(Index count, Index features, std::uint64_t seed = 3) {
  Matrix<T> X(count, features, Order::row_major);
  fill_normal<T>(X, seed, 1);
  return X;
}

/// Adapters after 15 steps on dataset().
inline LoraAdapter<float> trained_adapter(const Mlp<float>& base, const LoraOptions& options, std::uint64_t seed = 4) {
  RandomSource random(RandomKind::philox, seed);
  LoraAdapter<float> adapter(base, options, random);
  train_adapter(base, adapter, dataset(), random, {.limit = 15});
  return adapter;
}

}  // namespace nn_check
