#include <lowrank/core/matrix.hpp>

#include "../check.hpp"

using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::Order;

namespace {

template <class T>
using ColMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The view has the expression's shape and its very entries.
template <class T, class Expression>
void is_view_of(MatrixView<const T> view, const Expression& m) {
  REQUIRE(view.rows() == m.rows());
  REQUIRE(view.cols() == m.cols());
  for (Index i = 0; i < m.rows(); ++i)
    for (Index j = 0; j < m.cols(); ++j) REQUIRE(&view(i, j) == &m.coeffRef(i, j));
}

}  // namespace

TEST_CASE_TEMPLATE("view: Eigen matrices, blocks and maps are looked at, not copied", T, float, double) {
  ColMajor<T> C = ColMajor<T>::Random(7, 5);
  RowMajor<T> R = RowMajor<T>::Random(7, 5);
  is_view_of<T>(C, C);
  is_view_of<T>(R, R);
  CHECK(MatrixView<const T>(C).order() == Order::col_major);
  CHECK(MatrixView<const T>(R).order() == Order::row_major);
  CHECK(MatrixView<T>(C).data() == C.data());

  const auto c_block = C.block(1, 2, 4, 3);
  const auto r_block = R.block(1, 2, 4, 3);
  is_view_of<T>(c_block, c_block);
  is_view_of<T>(r_block, r_block);
  CHECK(MatrixView<const T>(c_block).ld() == 7);
  CHECK(MatrixView<const T>(r_block).ld() == 5);
  auto transposed = C.transpose();
  CHECK(MatrixView<const T>(transposed).rows() == 5);
  CHECK(MatrixView<const T>(transposed).data() == C.data());

  std::vector<T> memory(60);
  Eigen::Map<ColMajor<T>, 0, Eigen::OuterStride<>> c_map(memory.data(), 5, 4, Eigen::OuterStride<>(9));
  Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>> r_map(memory.data(), 5, 4, Eigen::OuterStride<>(9));
  is_view_of<T>(c_map, c_map);
  is_view_of<T>(r_map, r_map);
  Eigen::Matrix<T, 3, 2> fixed;
  is_view_of<T>(fixed, fixed);
}

TEST_CASE_TEMPLATE("view: rows, columns and strided vectors of both orders", T, float, double) {
  ColMajor<T> C = ColMajor<T>::Random(6, 5);
  RowMajor<T> R = RowMajor<T>::Random(6, 5);
  const auto column = C.col(2);
  const auto column_of_rows = R.col(2);
  const auto row = C.row(3);
  const auto row_of_rows = R.row(3);
  is_view_of<T>(column, column);
  is_view_of<T>(column_of_rows, column_of_rows);
  is_view_of<T>(row, row);
  is_view_of<T>(row_of_rows, row_of_rows);
  const auto diagonal = C.diagonal();
  is_view_of<T>(diagonal, diagonal);
  Eigen::Matrix<T, Eigen::Dynamic, 1> v(12);
  is_view_of<T>(v, v);
  Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>, 0, Eigen::InnerStride<>> strided(v.data(), 4,
                                                                                   Eigen::InnerStride<>(3));
  is_view_of<T>(strided, strided);
  Eigen::Map<Eigen::Matrix<T, 1, Eigen::Dynamic>, 0, Eigen::InnerStride<>> wide(v.data(), 4, Eigen::InnerStride<>(3));
  is_view_of<T>(wide, wide);
}

TEST_CASE_TEMPLATE("view: an expression without contiguous lines is refused", T, float, double) {
  std::vector<T> memory(200);
  using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  Eigen::Map<ColMajor<T>, 0, Stride> gaps(memory.data(), 4, 3, Stride(16, 2));
  CHECK(check::contains(check::refusal([&] { MatrixView<const T> view(gaps); }), "contiguous"));
  Eigen::Map<RowMajor<T>, 0, Stride> row_gaps(memory.data(), 4, 3, Stride(16, 2));
  CHECK_THROWS_AS(MatrixView<const T>{row_gaps}, std::invalid_argument);
  Eigen::Map<ColMajor<T>, 0, Stride> reversed(memory.data() + 100, 4, 3, Stride(-16, 1));
  CHECK_THROWS_AS(MatrixView<const T>{reversed}, std::invalid_argument);
}

TEST_CASE_TEMPLATE("view: transposing, blocks and Eigen maps", T, float, double) {
  for (const Order order : {Order::col_major, Order::row_major}) {
    check::Laid<T> X(check::gaussian(8, 6, 3), order, 3);
    const MatrixView<T> view = X.view();
    const MatrixView<T> t = view.transposed();
    CHECK(t.data() == view.data());
    CHECK(t.rows() == 6);
    CHECK(t.order() == lowrank::flip(order));
    for (Index i = 0; i < 8; ++i)
      for (Index j = 0; j < 6; ++j) REQUIRE(&t(j, i) == &view(i, j));
    CHECK(&view.block(2, 3, 4, 2)(1, 1) == &view(3, 4));
    CHECK(&view.middle_cols(2, 3)(4, 1) == &view(4, 3));
    CHECK(&view.middle_rows(2, 3)(1, 4) == &view(3, 4));
    CHECK(view.col(5).cols() == 1);
    CHECK(view.left_cols(0).empty());
    CHECK(view.block(8, 6, 0, 0).empty());
    if (order == Order::col_major) {
      CHECK(view.eigen_col_major()(5, 4) == view(5, 4));
      CHECK_THROWS_AS(view.eigen_row_major(), std::invalid_argument);
    } else {
      CHECK(view.eigen_row_major()(5, 4) == view(5, 4));
      CHECK_THROWS_AS(view.eigen_col_major(), std::invalid_argument);
    }
  }
}

TEST_CASE_TEMPLATE("matrix: ownership, clone, copies in another order", T, float, double) {
  for (const Order order : {Order::col_major, Order::row_major}) {
    Matrix<T> A(5, 3, order);
    CHECK(A.order() == order);
    CHECK(reinterpret_cast<std::uintptr_t>(A.data()) % 64 == 0);
    for (Index i = 0; i < 5; ++i)
      for (Index j = 0; j < 3; ++j) A(i, j) = static_cast<T>(10 * i + j);
    Matrix<T> B = A.clone();
    CHECK(B.data() != A.data());
    CHECK(B.order() == order);
    CHECK(check::dense(B) == check::dense(A));
    const Matrix<T> C = Matrix<T>::copy_of(A, lowrank::flip(order));
    CHECK(C.order() == lowrank::flip(order));
    CHECK(check::dense(C) == check::dense(A));
    const T* data = B.data();
    Matrix<T> moved = std::move(B);
    CHECK(moved.data() == data);
    CHECK(B.size() == 0);
  }
  const Matrix<T> none;
  CHECK(none.empty());
  const Matrix<T> flat(0, 4);
  CHECK(flat.rows() == 0);
  CHECK(flat.cols() == 4);
  CHECK(flat.clone().cols() == 4);
  CHECK_THROWS_AS(Matrix<T>(-1, 2), std::invalid_argument);
  CHECK_THROWS_AS(Matrix<T>(2, -1), std::invalid_argument);
}

TEST_CASE("matrix: memory that somebody else keeps alive") {
  auto memory = std::make_shared<std::vector<double>>(12, 1.5);
  Matrix<double> A(memory, MatrixView<double>(memory->data(), 3, 4, 3));
  CHECK(memory.use_count() == 2);
  CHECK(A.data() == memory->data());
  Matrix<double> B = std::move(A);
  CHECK(memory.use_count() == 2);
  B = Matrix<double>();
  CHECK(memory.use_count() == 1);
}
