#pragma once

#include <lowrank/core/matrix.hpp>
#include <lowrank/core/sparse.hpp>
#include <lowrank/io/file_layout.hpp>
#include <string>
#include <variant>
#include <vector>

namespace lowrank {

struct LoadOptions {
  /// A dense matrix of more bytes than this is not read but described (FileLayout), where its file allows that: npy and
  /// safetensors of F32 or F64.
  Index in_memory_limit = Index{1} << 30;
};

/// A matrix as its file holds it: dense in memory (of the file's order), sparse, or a place in a file.
struct LoadedMatrix {
  std::variant<Matrix<float>, Matrix<double>, SparseMatrix<float>, SparseMatrix<double>, FileLayout<float>,
               FileLayout<double>>
      content;
  std::string path;    ///< as it was named, tensor included
  std::string format;  ///< "npy", "npz", "scipy csr" (csc, coo), "csv", "matrix market", "safetensors", "idx"
  std::string dtype;   ///< the file's own, e.g. "<i4", "BF16"
  std::vector<std::string> notes;  ///< what was converted

  Index rows() const;
  Index cols() const;
};

/// Reads a matrix from npy, npz, SciPy's sparse npz, csv/tsv, Matrix Market (.mtx, .mtx.gz), safetensors or IDX images
/// (an image a row), told by content first and by ending where content does not tell (csv). In a container a member is
/// named after a colon: `model.safetensors:layer.weight`, `data.npz:W`; without a name the file must hold exactly one
/// matrix, else the error lists the names. A 1-D array is a matrix of one column. float and double stay what they are,
/// half types become float, integers and bool become double, with a note. Throws Error naming file, place and reason.
/// NaN and Inf are read: computing on them is refused later.
LoadedMatrix load_matrix(const std::string& path, const LoadOptions& options = {});

}  // namespace lowrank
