#pragma once

#include <lowrank/io/load.hpp>
#include <lowrank/op/linear_operator.hpp>
#include <memory>
#include <variant>

namespace lowrank {

using AnyOperator = std::variant<std::unique_ptr<LinearOperator<float>>, std::unique_ptr<LinearOperator<double>>>;

/// The operator over a loaded matrix, which must outlive it: dense, sparse, or read from its file block by block.
///
///   const auto W = load_matrix("W.npy");
///   std::visit([&](const auto& A) { print(matrix_rank(*A)); }, operator_over(W));
AnyOperator operator_over(const LoadedMatrix& matrix);

}  // namespace lowrank
