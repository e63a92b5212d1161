#pragma once

#include <lowrank/svd/methods.hpp>

namespace lowrank {

/// What the methods are expected to cost, in operations at the rate of products of a dense matrix with panels in float.
struct Cost {
  double exact, randomized, krylov;
};

/// From the number of half-steps that the methods take as a rule, and rates relative to those of products that differ
/// little between processors (see bench/README.md): they are constants, not measured on the machine at hand, since the
/// same call must choose the same method every time. Near the boundaries the methods cost about the same.
template <Real T>
Cost expected_cost(const LinearOperator<T>& A, const MethodInput& input, Index limit);

}  // namespace lowrank
