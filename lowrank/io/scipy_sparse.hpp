#pragma once

#include <lowrank/core/sparse.hpp>
#include <lowrank/io/npz.hpp>

namespace lowrank {

/// A sparse matrix read from a file, with what the file called its type.
struct SparseArray {
  std::variant<SparseMatrix<float>, SparseMatrix<double>> values;
  std::string layout;  ///< "csr", "csc" or "coo"
  std::string dtype;
  std::vector<std::string> notes;
};

/// Whether the archive is one that scipy.sparse.save_npz wrote: members format, shape and data beside others.
bool is_scipy_sparse(const NpzFile& archive);

/// That matrix, if it is held by rows (csr), columns (csc) or entries (coo). Entries that are given twice are added,
/// with a note. float and double stay what they are, half becomes float, integers and bool become double, with a note.
/// Throws Error naming the member: other layouts, members that are missing or do not fit together, an index out of
/// range, and a side for which there is not `memory` at hand.
SparseArray read_scipy_sparse(const NpzFile& archive, Index memory = available_memory());

}  // namespace lowrank
