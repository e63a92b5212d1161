#include <array>
#include <lowrank/io/load.hpp>
#include <lowrank/io/save.hpp>

#include "io/files.hpp"

using namespace io_test;

TEST_CASE_TEMPLATE("save: every ending is read back", T, float, double) {
  const TemporaryFolder folder;
  for (const std::string name :
       {"A.npy", "A.npz", "A.csv", "A.csv.gz", "A.tsv", "A.tsv.gz", "A.mtx", "A.mtx.gz", "A.safetensors"})
    for (const Order order : {Order::col_major, Order::row_major}) {
      save_matrix<T>(folder / name, the_matrix<T>(order));
      const LoadedMatrix back = load_matrix(folder / name);
      const bool binary = name.find(".np") != std::string::npos || name.ends_with(".safetensors");
      if (binary)
        CHECK(is_the_matrix(std::get<Matrix<T>>(back.content)));
      else
        CHECK(is_the_matrix(std::get<Matrix<double>>(back.content)));
    }
  CHECK(folder.count() == 9);
  save_matrix<T>(folder / "B.npz:layer", the_matrix<T>(Order::row_major));
  CHECK(load_matrix(folder / "B.npz:layer").rows() == 4);
  save_matrix<T>(folder / "B.safetensors:layer.weight", the_matrix<T>(Order::row_major));
  CHECK(load_matrix(folder / "B.safetensors:layer.weight").rows() == 4);
  CHECK(load_matrix(folder / "A.npz:W").rows() == 4);
}

TEST_CASE("save: sparse matrices stay sparse") {
  const TemporaryFolder folder;
  SparseMatrix<double> S(3, 4);
  S.insert(1, 2) = 5;
  save_matrix(folder / "S.mtx.gz", S);
  CHECK(std::get<SparseMatrix<double>>(load_matrix(folder / "S.mtx.gz").content).coeff(1, 2) == 5);
  CHECK(has(message<std::invalid_argument>([&] { save_matrix(folder / "S.npy", S); }),
            "a sparse matrix of 3x4 is written as .mtx or .mtx.gz"));
}

TEST_CASE_TEMPLATE("save: several matrices, with vectors", T, float, double) {
  const TemporaryFolder folder;
  const Matrix<T> U = the_matrix<T>(Order::col_major), S = the_matrix<T>(Order::col_major, 3, 1);
  const std::array<NamedMatrix<T>, 2> matrices{{{"U", U}, {"S", S, ArrayShape::vector}}};
  for (const std::string name : {"A.npz", "A.safetensors"}) {
    save_matrices<T>(folder / name, matrices);
    const LoadedMatrix back = load_matrix(folder / (name + ":U"));
    CHECK(is_the_matrix(std::get<Matrix<T>>(back.content)));
    CHECK(std::get<Matrix<T>>(back.content).order() == Order::row_major);
    CHECK(load_matrix(folder / (name + ":S")).rows() == 3);
  }
  CHECK(has(contents(folder / "A.npz"), "'shape': (3,)"));
  CHECK(has(contents(folder / "A.safetensors"), "\"shape\":[3]"));
  CHECK(has(message<std::invalid_argument>([&] { save_matrices<T>(folder / "A.npy", matrices); }),
            "known are .npz, .safetensors"));
}

TEST_CASE("save: unknown endings and failures leave nothing") {
  const TemporaryFolder folder;
  const Matrix<float> A = the_matrix<float>(Order::row_major);
  CHECK(has(message<std::invalid_argument>([&] { save_matrix<float>(folder / "A.mat", A); }),
            "A.mat: the ending names no format for a matrix; known are .npy, .npz, .csv, .csv.gz, .tsv, .tsv.gz, .mtx, "
            ".mtx.gz, .safetensors"));
  CHECK_THROWS_AS(check_matrix_ending("A"), std::invalid_argument);
  CHECK_THROWS_AS(check_matrices_ending("A.csv"), std::invalid_argument);
  CHECK_NOTHROW(check_matrix_ending("A.npz:x"));
  for (const std::string name : {"A.npy", "A.npz", "A.csv", "A.mtx", "A.mtx.gz", "A.safetensors"})
    CHECK(has(message([&] { save_matrix<float>(folder / ("no/" + name), A); }), name + ": the output folder"));
  CHECK(folder.count() == 0);
}

TEST_CASE("save: a file that holds other matrices is not replaced") {
  const TemporaryFolder folder;
  const Matrix<float> A = the_matrix<float>(Order::row_major);
  const std::array<NamedMatrix<float>, 2> both{{{"one", A}, {"two", A}}};
  for (const std::string ending : {".npz", ".safetensors"}) {
    const std::string path = folder / ("A" + ending);
    save_matrices<float>(path, both);
    const std::string before = contents(path);
    CHECK(has(message([&] { save_matrix<float>(path + ":one", A); }),
              path + ": the file holds 1 other matrix, which would be lost: two"));
    CHECK(has(message([&] { save_matrix<float>(path, A); }), "holds 2 other matrices, which would be lost: one, two"));
    CHECK(has(message([&] { save_matrices<float>(path, std::span(both).first(1)); }), "which would be lost: two"));
    CHECK(contents(path) == before);
    CHECK_NOTHROW(save_matrices<float>(path, both));
    save_matrix<float>(folder / ("B" + ending), A);
    CHECK_NOTHROW(save_matrix<float>(folder / ("B" + ending + ":W"), A));
    put(path, "no container");
    CHECK_NOTHROW(save_matrix<float>(path, A));
  }
}
