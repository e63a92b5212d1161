#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <lowrank/core/error.hpp>
#include <lowrank/op/mapped_file.hpp>

#include "operator_check.hpp"

using check::Dense;
using check::Laid;
using lowrank::FileLayout;
using lowrank::Index;
using lowrank::MappedFileOperator;
using lowrank::Order;

namespace {

/// A file in the folder for temporary files, gone at the end.
class RawFile {
 public:
  template <class T>
  RawFile(const Dense& A, Order order, Index offset, T) {
    path_ = (std::filesystem::temp_directory_path() /
             ("lowrank_op_test_" + std::to_string(getpid()) + "_" + std::to_string(++count_) + ".raw"))
                .string();
    std::ofstream file(path_, std::ios::binary);
    file << std::string(static_cast<std::size_t>(offset), '#');
    Laid<T> laid(A, order);
    file.write(reinterpret_cast<const char*>(laid.view().data()),
               static_cast<std::streamsize>(sizeof(T)) * static_cast<std::streamsize>(A.size()));
  }
  ~RawFile() { std::remove(path_.c_str()); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  static inline int count_ = 0;
  std::string path_;
};

}  // namespace

TEST_CASE_TEMPLATE("mapped file: many small blocks with a ragged last one, both orders", T, float, double) {
  for (const auto& [m, n] : {std::pair<Index, Index>{103, 37}, {37, 103}, {1, 50}, {50, 1}})
    for (const Order order : {Order::col_major, Order::row_major})
      for (const Index offset : {128})
        for (const Index block_bytes : {900, 1 << 20}) {
          const Dense A = check::rounded<T>(check::gaussian(m, n, 1));
          const RawFile file(A, order, offset, T(0));
          const MappedFileOperator<T> op(FileLayout<T>{file.path(), offset, m, n, order}, block_bytes);
          CAPTURE(block_bytes);
          check::operator_agrees<T>(op, A, 20);
          CHECK(op.frobenius_norm().has_value());
          CHECK(op.residual_norm(Laid<T>(m, 1), Laid<T>(1, n)).has_value());
          CHECK(op.single_sweep_normal() == (order == Order::row_major));
          CHECK(op.kind() == "mapped file");
        }
}

TEST_CASE_TEMPLATE("mapped file: panels of wrong shapes are refused", T, float, double) {
  const RawFile file(check::gaussian(20, 10, 1), Order::row_major, 0, T(0));
  check::operator_refuses_wrong_panels<T>(MappedFileOperator<T>({file.path(), 0, 20, 10, Order::row_major}, 400));
}

TEST_CASE_TEMPLATE("mapped file: missing or too short is an Error with the path", T, float, double) {
  const RawFile file(check::gaussian(20, 10, 1), Order::row_major, 0, T(0));
  auto message = check::message_of<lowrank::Error>([&] {
    MappedFileOperator<T>(FileLayout<T>{file.path(), 0, 21, 10, Order::row_major});
  });
  CHECK(check::contains(message, file.path()));
  CHECK_THROWS_AS((MappedFileOperator<T>(FileLayout<T>{file.path(), 1, 20, 10, Order::row_major})), lowrank::Error);
  const std::string missing = file.path() + ".missing";
  message = check::message_of<lowrank::Error>([&] {
    MappedFileOperator<T>(FileLayout<T>{missing, 0, 2, 2, Order::row_major});
  });
  CHECK(check::contains(message, missing));
  const std::string folder = std::filesystem::temp_directory_path().string();
  CHECK_THROWS_AS((MappedFileOperator<T>(FileLayout<T>{folder, 0, 2, 2, Order::row_major})), lowrank::Error);
}

TEST_CASE_TEMPLATE("mapped file: a file cut short while in use is an Error, not wrong numbers", T, float, double) {
  const RawFile file(check::gaussian(200, 10, 1), Order::row_major, 0, T(0));
  const MappedFileOperator<T> op({file.path(), 0, 200, 10, Order::row_major}, 400);
  std::filesystem::resize_file(file.path(), 10 * 50 * sizeof(T));
  Laid<T> X(check::gaussian(10, 2, 1), Order::col_major), Y(200, 2);
  CHECK(check::contains(check::message_of<lowrank::Error>([&] { op.multiply(X, Y); }), file.path()));
}

TEST_CASE_TEMPLATE("mapped file: NaN and Inf are named with their place in the whole matrix", T, float, double) {
  for (const Order order : {Order::col_major, Order::row_major}) {
    Dense A = check::gaussian(83, 41, 1);
    A(77, 29) = std::numeric_limits<double>::quiet_NaN();
    const RawFile file(A, order, 64, T(0));
    const MappedFileOperator<T> op({file.path(), 64, 83, 41, order}, 2000);
    auto message = check::refusal([&] { op.frobenius_norm(); });
    for (const char* part : {"NaN", "77", "29"}) CHECK(check::contains(message, part));
    A(77, 29) = -std::numeric_limits<double>::infinity();
    const RawFile infinite(A, order, 64, T(0));
    message = check::refusal([&] {
      MappedFileOperator<T>({infinite.path(), 64, 83, 41, order}, 2000).frobenius_norm();
    });
    for (const char* part : {"Inf", "77", "29"}) CHECK(check::contains(message, part));
  }
}

TEST_CASE_TEMPLATE("mapped file: empty shapes", T, float, double) {
  const RawFile file(Dense::Zero(0, 0), Order::row_major, 16, T(0));
  for (const auto& [m, n] : {std::pair<Index, Index>{0, 0}, {0, 5}, {5, 0}})
    check::operator_agrees<T>(MappedFileOperator<T>({file.path(), 16, m, n, Order::row_major}), Dense::Zero(m, n));
}
