#pragma once

#include <cstdint>
#include <functional>
#include <lowrank/core/matrix.hpp>
#include <lowrank/io/file_bytes.hpp>
#include <string>
#include <variant>
#include <vector>

namespace lowrank {

/// A dense matrix read from a file, of the file's order, with what the file called its type.
struct DenseArray {
  std::variant<Matrix<float>, Matrix<double>> values;
  std::string dtype;
  std::vector<std::string> notes;
};

/// Number types in files. The first two are kept as they are; half types are widened to float, the others to double.
enum class FileType { f64, f32, f16, bf16, i8, i16, i32, i64, u8, u16, u32, u64, boolean };

Index bytes_of(FileType type);

/// A matrix over the bytes of a file, which must be exactly rows·cols numbers of `type` (std::invalid_argument if not).
/// float and double that are aligned are adopted without a copy; everything else is converted into new memory, with a
/// note.
DenseArray make_dense(const FileBytes& bytes, FileType type, Index rows, Index cols, Order order, std::string dtype);

/// As above, converted to T whatever the file's type.
template <Real T>
Matrix<T> make_matrix(const FileBytes& bytes, FileType type, Index rows, Index cols, Order order);

/// How a shape reads in messages: (2, 3).
std::string shape_text(const std::vector<Index>& shape);

/// The first twenty of these names, and how many more there are, as a message lists them.
std::string first_names(const std::vector<std::string>& names);

/// The entries of a host matrix in `order`, without gaps, handed on in pieces of some 100 kB; contiguous parts are not
/// copied. Throws std::invalid_argument for a matrix of another device.
template <Real T>
void for_each_piece(MatrixView<const T> values, Order order,
                    const std::function<void(std::span<const std::byte>)>& take);

}  // namespace lowrank
