#pragma once

#include <lowrank/core/sparse.hpp>
#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/file_bytes.hpp>

namespace lowrank {

/// A matrix from a Matrix Market file: "coordinate" gives a sparse matrix, "array" a dense one.
struct MatrixMarketMatrix {
  std::variant<SparseMatrix<double>, Matrix<double>> values;
  std::string dtype;  ///< "real", "integer" or "pattern"
  std::vector<std::string> notes;
};

bool is_matrix_market(const FileBytes& file);

/// Reads coordinate and array files of real, integer and pattern values, general, symmetric (or hermitian) and
/// skew-symmetric (of which the file holds the lower triangle). Entries that are given twice are added, with a note.
/// The text must be unpacked. Throws Error with the line: complex (by name), an index out of range, an entry above the
/// diagonal of a symmetric matrix, a word, entries too few or too many, and sizes for which there is not `memory` at
/// hand. Boisvert, Pozo, Remington: The Matrix Market exchange formats, NISTIR 5935.
MatrixMarketMatrix read_matrix_market(const FileBytes& file, Index memory = available_memory());

/// Writes "coordinate real general", the explicitly stored entries; packed if the name ends in ".gz". Whole or not at
/// all.
template <Real T>
void save_matrix_market(const std::string& path, const SparseMatrix<T>& values);

/// Writes "array real general", likewise.
template <Real T>
void save_matrix_market(const std::string& path, MatrixView<const T> values);

}  // namespace lowrank
