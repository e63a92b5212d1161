#include <algorithm>
#include <cmath>
#include <lowrank/svd/core_svd.hpp>
#include <optional>

namespace lowrank {
namespace {

/// Of coreᵀ·core where that serves cores in T.
template <Real T>
std::optional<SymmetricEigen> eigen_of_gram(MatrixView<const double> core, Vectors vectors) {
  if (std::is_same_v<T, double> || core.rows() < core.cols()) return std::nullopt;
  return symmetric_eigen(gram<double>(core), vectors);
}

std::vector<double> roots(std::vector<double> squares) {
  for (double& square : squares) square = std::sqrt(std::max(square, 0.0));
  return squares;
}

}  // namespace

template <Real T>
std::vector<double> core_values(MatrixView<const double> core) {
  if (auto eigen = eigen_of_gram<T>(core, Vectors::none)) return roots(std::move(eigen->values));
  return thin_svd<double>(core, Vectors::none).S;
}

template <Real T>
CoreSvd core_svd(MatrixView<const double> core, Index count) {
  // Up to there the squares keep every triplet to float's precision.
  constexpr double least = 1e-4;
  if (auto eigen = eigen_of_gram<T>(core, Vectors::thin)) {
    std::vector<double> S = roots(std::move(eigen->values));
    if (count <= 0 || S[static_cast<std::size_t>(count - 1)] > least * S.front()) {
      Matrix<double> U = product<double>(core, eigen->vectors.left_cols(count));
      for (Index j = 0; j < count; ++j) U.eigen().col(j) /= S[static_cast<std::size_t>(j)];
      return {std::move(U), std::move(S), std::move(eigen->vectors)};
    }
  }
  ThinSvd<double> svd = thin_svd<double>(core);
  return {std::move(svd.U), std::move(svd.S), std::move(svd.V)};
}

template std::vector<double> core_values<float>(MatrixView<const double>);
template std::vector<double> core_values<double>(MatrixView<const double>);
template CoreSvd core_svd<float>(MatrixView<const double>, Index);
template CoreSvd core_svd<double>(MatrixView<const double>, Index);

}  // namespace lowrank
