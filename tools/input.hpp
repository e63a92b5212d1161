#pragma once

#include <lowrank/core/error.hpp>
#include <lowrank/op/from_file.hpp>
#include <memory>
#include <string>

#include "command_line.hpp"

namespace lowrank::tools {

/// A matrix from a file, and the operator over it.
struct Input {
  std::unique_ptr<const LoadedMatrix> matrix;  ///< keeps its address, which the operator holds
  AnyOperator op;
  Index rows = 0, cols = 0;
  bool in_blocks = false;  ///< read from the file block by block

  const std::string& path() const { return matrix->path; }
  std::string dtype() const { return op.index() == 0 ? "f32" : "f64"; }
};

constexpr Index default_memory = Index{1} << 30;
constexpr const char* memory_help = "larger dense files are read block by block\n(default 1GiB; npy and safetensors)";

/// Loads a matrix; what was converted, and whether it is worked on in blocks, is noted on stderr.
Input open_input(const CommandLine& command, const std::string& path, Index memory);

/// A dense matrix in memory, however large, converted to T (with a note) where it is of the other type.
template <Real T>
Matrix<T> load_dense(const CommandLine& command, const std::string& path);

/// `what` with the file's name in front, unless it begins with it.
std::string about(const std::string& path, const std::string& what);

/// Runs a computation on A. NaN and Inf in A are the file's fault, not the caller's: Error with its name. Other
/// mistakes and errors pass with the file's name in front.
template <Real T, class Compute>
auto guarded(const std::string& path, const LinearOperator<T>& A, Compute&& compute) {
  try {
    return compute();
  } catch (const std::invalid_argument& mistake) {
    try {
      static_cast<void>(A.frobenius_norm());
    } catch (const std::invalid_argument& bad_entry) {
      throw Error(about(path, bad_entry.what()));
    }
    throw UsageError(about(path, mistake.what()));
  } catch (const Error& error) {
    throw Error(about(path, error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(about(path, "the memory does not suffice"));
  }
}

/// Throws Error unless a file of that name can be written; for a check before long work.
void check_output(const std::string& path);

}  // namespace lowrank::tools
