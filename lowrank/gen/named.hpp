#pragma once

#include <lowrank/core/matrix.hpp>
#include <string_view>
#include <vector>

namespace lowrank {

struct NamedInfo {
  std::string_view name, description;
};

/// The named matrices with a line on each. i and j count from 0; any shape is allowed.
std::vector<NamedInfo> named_matrices();

/// Rows first_row .. first_row + block.rows() of the rows×cols matrix of that name, all its columns. Entries are
/// computed in double and rounded to T. Throws std::invalid_argument for an unknown name (with the names there are)
/// and for a block that does not lie in the matrix.
template <Real T>
void fill_named(std::string_view name, Index rows, Index cols, Index first_row, MatrixView<T> block);

/// The whole matrix, column-major on the host.
template <Real T>
Matrix<T> named_matrix(std::string_view name, Index rows, Index cols);

}  // namespace lowrank
