#pragma once

#include <fmt/core.h>

#include <lowrank/nn/dataset.hpp>
#include <lowrank/nn/mlp.hpp>
#include <stdexcept>

namespace lowrank {

/// Throws std::invalid_argument when the images' size or the number of classes does not fit the network.
template <Real T>
void require_fit(const Mlp<T>& mlp, const Dataset& data) {
  if (data.features() != mlp.inputs())
    throw std::invalid_argument(
        fmt::format("the images have {} pixels, but the network has {} inputs", data.features(), mlp.inputs()));
  if (data.classes() > mlp.outputs())
    throw std::invalid_argument(
        fmt::format("there are {} classes, but the network has {} outputs", data.classes(), mlp.outputs()));
  if (&data.device() != &mlp.device()) throw std::invalid_argument("data and network live on different devices");
}

}  // namespace lowrank
