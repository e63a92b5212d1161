#pragma once

#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/file_layout.hpp>

namespace lowrank {

/// What the header of a npy file (NumPy's format, versions 1.0 to 3.0) says.
struct NpyHeader {
  std::string descr;  ///< e.g. "<f8"
  FileType type{};
  Order order = Order::row_major;
  std::vector<Index> shape;  ///< as in the file
  Index rows = 0, cols = 0;  ///< a 1-D array is one column, a 0-D one is 1x1
  Index data_offset = 0;
};

bool is_npy(const FileBytes& file);

/// Reads and checks the header, and that the file's length is exactly what the shape asks for. Throws Error: malformed
/// header, more than two dimensions, and big-endian, object, structured, complex, string or time dtypes, each by name.
NpyHeader parse_npy_header(const FileBytes& file);

/// The matrix in a npy file; native float and double are used where they lie.
DenseArray read_npy(const FileBytes& file);

/// The ASCII text in a npy file of a single string. Throws Error if it is something else.
std::string read_npy_text(const FileBytes& file);

/// A header for rows×cols entries of T whose data begin at a multiple of 64 bytes; with `dimensions` 1 the shape is
/// (rows,).
template <Real T>
std::string npy_header(Index rows, Index cols, Order order, int dimensions = 2);

/// Writes a npy file in the view's own order, without transposing; whole or not at all.
template <Real T>
void save_npy(const std::string& path, MatrixView<const T> values);

/// A row-major npy file whose rows arrive in blocks, so that it can be larger than memory. The file appears at
/// commit(), which throws std::invalid_argument when rows are missing.
template <Real T>
class NpyWriter {
 public:
  NpyWriter(const std::string& path, Index rows, Index cols);
  void append(MatrixView<const T> rows);
  void commit();
  Index rows_written() const { return written_; }

 private:
  AtomicFile file_;
  Index rows_, cols_, written_ = 0;
};

}  // namespace lowrank
