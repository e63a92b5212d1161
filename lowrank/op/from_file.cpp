#include <lowrank/op/dense.hpp>
#include <lowrank/op/from_file.hpp>
#include <lowrank/op/mapped_file.hpp>
#include <lowrank/op/sparse.hpp>

namespace lowrank {
namespace {

template <Real T>
std::unique_ptr<LinearOperator<T>> over(const Matrix<T>& A) {
  return std::make_unique<DenseOperator<T>>(A.view());
}
template <Real T>
std::unique_ptr<LinearOperator<T>> over(const SparseMatrix<T>& A) {
  return std::make_unique<SparseOperator<T>>(A);
}
template <Real T>
std::unique_ptr<LinearOperator<T>> over(const FileLayout<T>& layout) {
  return std::make_unique<MappedFileOperator<T>>(layout);
}

}  // namespace

AnyOperator operator_over(const LoadedMatrix& matrix) {
  return std::visit([](const auto& content) -> AnyOperator { return over(content); }, matrix.content);
}

}  // namespace lowrank
