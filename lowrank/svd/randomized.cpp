#include <algorithm>
#include <limits>
#include <lowrank/svd/methods.hpp>
#include <lowrank/svd/orthonormalize.hpp>

namespace lowrank {

Index panel_width(const MethodInput& input, Index limit) {
  constexpr Index first_guess = 32;
  const Index k = input.wish.rank > 0 ? input.wish.rank : first_guess;
  const Index extra = input.options.oversample >= 0 ? input.options.oversample : std::max<Index>(10, k / 10);
  return std::min(k + extra, std::max(limit, input.wish.rank));
}

template <Real T>
Matrix<T> rotated(MatrixView<const T> Q, const Matrix<double>& rotation, Index count) {
  return product<T>(Q, from_double<T>(rotation.left_cols(count), Q.device()));
}

namespace {

/// [X, G] with G Gaussian, so that the panel has `width` columns.
template <Real T>
Matrix<T> widened(const Matrix<T>& X, Index rows, Index width, Device& device, std::uint64_t seed,
                  std::uint64_t stream) {
  Matrix<T> wider(rows, width, device);
  const Index have = X.cols();
  if (have > 0) copy<T>(X, wider.view().left_cols(have));
  fill_normal<T>(wider.view().middle_cols(have, width - have), seed, stream);
  return wider;
}

}  // namespace

template <Real T>
MethodResult<T> randomized_method(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const SvdOptions& options = input.options;
  StoppingRule rule(input.wish, input.norm, options.excess, std::numeric_limits<T>::epsilon(),
                    std::min(A.rows(), A.cols()));
  MethodResult<T> result;
  const bool fused = A.single_sweep_normal();
  bool adjoint = false;  // X lies on the side of A's columns; its image A·X on the side of the rows.
  Index since_growth = 0, width = panel_width(input, limit);
  std::uint64_t stream = 0;

  Matrix<T> X = widened(Matrix<T>(), A.cols(), width, A.device(), options.seed, stream++);
  orthonormalize<T>(X);
  for (;;) {
    // 1. The image of the basis, Y = op(A)·X (fused: and Z = Aᵀ·Y in the same sweep).
    Matrix<T> Y(adjoint ? A.cols() : A.rows(), width, A.device()), Z;
    if (fused) {
      Z = Matrix<T>(A.cols(), width, A.device());
      A.multiply_normal(X, Y, Z);
    } else if (adjoint) {
      A.multiply_adjoint(X, Y);
    } else {
      A.multiply(X, Y);
    }
    result.products += fused ? 2 : 1;
    result.sweeps += 1;
    since_growth += fused ? 2 : 1;

    // 2. Y = Q·R, and the Ritz values are the singular values of R: op(A)·X·Xᵀ = Q·R·Xᵀ.
    const Matrix<double> R = orthonormalize<T>(Y);
    const ThinSvd<double> core = thin_svd<double>(R);
    const StoppingRule::Verdict verdict = rule.judge(core.S);
    if (options.progress) options.progress({"subspace iteration", -1});

    // 3. Done, or out of products: U and V are the two bases rotated to the Ritz vectors.
    const bool last = result.products >= options.max_products;
    if ((verdict.settled && since_growth > 1) || (last && (verdict.met || width >= limit))) {
      const Index k = std::min(verdict.rank, width);
      Matrix<T> left = rotated<T>(Y, core.U, k), right = rotated<T>(X, core.V, k);
      result.U = std::move(adjoint ? right : left);
      result.V = std::move(adjoint ? left : right);
      for (Index i = 0; i < k; ++i) result.S.push_back(static_cast<T>(core.S[static_cast<std::size_t>(i)]));
      result.converged = verdict.settled;
      result.exact_on_left = adjoint;
      return result;
    }

    // 4. The image is the next basis, on the other side; wider where the wish is not met yet.
    if (fused) {
      X = rotated<T>(Z, core.V, width);
    } else {
      X = std::move(Y);
      adjoint = !adjoint;
    }
    if (!verdict.met && since_growth > 1) {
      if (width >= limit) {
        result.gave_up = true;
        return result;
      }
      width = std::min(2 * width, limit);
      X = widened(X, X.rows(), width, A.device(), options.seed, stream++);
      rule.basis_grew();
      since_growth = 0;
    }
    if (fused || since_growth == 0) orthonormalize<T>(X);
  }
}

template Matrix<float> rotated(MatrixView<const float>, const Matrix<double>&, Index);
template Matrix<double> rotated(MatrixView<const double>, const Matrix<double>&, Index);
template MethodResult<float> randomized_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> randomized_method(const LinearOperator<double>&, const MethodInput&, Index);

}  // namespace lowrank
