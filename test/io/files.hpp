#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <lowrank/core/error.hpp>
#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/file_bytes.hpp>
#include <string>
#include <vector>

#include "io/paths.hpp"

namespace io_test {

using namespace lowrank;

inline std::string data(const std::string& name) { return std::string(TEST_DATA_FOLDER "/") + name; }

/// A new folder, removed with all it holds.
struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lowrank-io-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  /// Everything in it, temporary files too.
  Index count() const {
    return std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator());
  }
};

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

inline FileBytes bytes(const std::string& text, const std::string& name = "test-file") {
  return FileBytes::copy_of(name, std::as_bytes(std::span(text)));
}

/// The message of the Exception that `call` throws; "" when it throws none.
template <class Exception = Error, class Call>
std::string message(Call&& call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

inline bool has(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("'" << part << "' is not in: " << text);
  return found;
}

/// The entry that make_io_files.py puts at (i, j).
inline double entry(Index i, Index j) { return static_cast<double>(i) + static_cast<double>(j) / 4 - 1; }

template <class Matrix>
bool is_the_matrix(const Matrix& A) {
  if (A.rows() != 4 || A.cols() != 3) return false;
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 3; ++j)
      if (static_cast<double>(A(i, j)) != entry(i, j)) return false;
  return true;
}

template <Real T>
Matrix<T> the_matrix(Order order, Index rows = 4, Index cols = 3) {
  Matrix<T> A(rows, cols, order);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) A(i, j) = static_cast<T>(entry(i, j));
  return A;
}

}  // namespace io_test
