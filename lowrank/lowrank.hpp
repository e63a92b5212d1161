#pragma once

/// Everything public.

#include <lowrank/core/device.hpp>
#include <lowrank/core/environment.hpp>
#include <lowrank/core/error.hpp>
#include <lowrank/core/matrix.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/factor/factor.hpp>
#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/named.hpp>
#include <lowrank/gen/spectrum.hpp>
#include <lowrank/gen/torch_generator.hpp>
#include <lowrank/io/load.hpp>
#include <lowrank/io/save.hpp>
#include <lowrank/nn/checkpoint.hpp>
#include <lowrank/nn/evaluate.hpp>
#include <lowrank/nn/lora_file.hpp>
#include <lowrank/nn/trainer.hpp>
#include <lowrank/op/compose.hpp>
#include <lowrank/op/dense.hpp>
#include <lowrank/op/from_file.hpp>
#include <lowrank/op/mapped_file.hpp>
#include <lowrank/op/sparse.hpp>
#include <lowrank/svd/rank.hpp>
#include <lowrank/svd/svd.hpp>
