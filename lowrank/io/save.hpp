#pragma once

#include <lowrank/core/matrix.hpp>
#include <lowrank/core/sparse.hpp>
#include <span>
#include <string>

namespace lowrank {

/// Whether an array of one column is written with the shape (n, 1) or (n,).
enum class ArrayShape { matrix, vector };

template <Real T>
struct NamedMatrix {
  std::string name;
  MatrixView<const T> values;
  ArrayShape shape = ArrayShape::matrix;
};

/// Writes a matrix in the format that the ending asks for: .npy, .npz, .safetensors, or .csv, .tsv and .mtx, each also
/// with .gz; whole or not at all. In npz and safetensors it is called "W", or what follows a colon: `out.npz:layer`.
/// npy and npz keep the view's order. Throws std::invalid_argument for another ending and for a matrix without entries
/// as csv, Error when the file cannot be written, or holds other matrices (check_replaced).
template <Real T>
void save_matrix(const std::string& path, MatrixView<const T> values);

/// Writes a sparse matrix as .mtx or .mtx.gz. Throws std::invalid_argument for another ending: the other formats are
/// dense.
template <Real T>
void save_matrix(const std::string& path, const SparseMatrix<T>& values);

/// Writes several named matrices, stored by rows, to one .npz or .safetensors; whole or not at all. Throws as
/// save_matrix.
template <Real T>
void save_matrices(const std::string& path, std::span<const NamedMatrix<T>> matrices);

/// Throws std::invalid_argument, listing the endings, unless save_matrix (save_matrices) knows the ending of `path`:
/// for a check before long work.
void check_matrix_ending(const std::string& path);
void check_matrices_ending(const std::string& path);

/// Throws Error, naming them, when `path` is an npz or safetensors file that holds other matrices than the one that
/// save_matrix (those of these names that save_matrices) would write: they would be lost.
void check_replaced(const std::string& path);
void check_replaced(const std::string& path, const std::vector<std::string>& names);

}  // namespace lowrank
