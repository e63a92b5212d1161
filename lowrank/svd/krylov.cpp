#include <algorithm>
#include <limits>
#include <lowrank/svd/methods.hpp>
#include <lowrank/svd/orthonormalize.hpp>

namespace lowrank {
namespace {

/// An orthonormal basis that grows by blocks; memory is taken in doublings.
template <Real T>
class GrowingBasis {
 public:
  GrowingBasis(Index rows, Index capacity, Device& device) : columns_(rows, std::max<Index>(capacity, 1), device) {}

  MatrixView<const T> view() const { return columns_.left_cols(used_); }
  Index cols() const { return used_; }

  void append(MatrixView<const T> block) {
    if (used_ + block.cols() > columns_.cols()) {
      Matrix<T> larger(columns_.rows(), std::max(2 * columns_.cols(), used_ + block.cols()), columns_.device());
      copy<T>(view(), larger.left_cols(used_));
      columns_ = std::move(larger);
    }
    copy<T>(block, columns_.view().middle_cols(used_, block.cols()));
    used_ += block.cols();
  }

 private:
  Matrix<T> columns_;
  Index used_ = 0;
};

/// Appends the columns of a block of AᵀQ = V·core: `upper` in the rows of the old V, `lower` in those of the new block.
void append_columns(Eigen::MatrixXd& core, const Matrix<double>& upper, const Matrix<double>& lower) {
  const Index rows = core.rows(), cols = core.cols(), b = lower.cols();
  core.conservativeResize(rows + lower.rows(), cols + b);
  core.bottomLeftCorner(lower.rows(), cols).setZero();
  core.topRightCorner(rows, b) = upper.eigen();
  core.bottomRightCorner(lower.rows(), b) = lower.eigen();
}

}  // namespace

template <Real T>
MethodResult<T> krylov_method(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const SvdOptions& options = input.options;
  StoppingRule rule(input.wish, input.norm, options.excess, std::numeric_limits<T>::epsilon(),
                    std::min(A.rows(), A.cols()));
  MethodResult<T> result;
  // A block as wide as the wish: a narrower one misses copies of a multiple singular value.
  const Index width = panel_width(input, limit);
  const Index block = width;
  GrowingBasis<T> Q(A.rows(), 3 * width, A.device()), V(A.cols(), 3 * width, A.device());
  Eigen::MatrixXd core(0, 0);

  // 1. The first block of Q: an orthonormal basis of A·Ω.
  Matrix<T> X(A.cols(), block, A.device());
  fill_normal<T>(X, options.seed, 0);
  orthonormalize<T>(X);
  for (;;) {
    const Index b = X.cols();
    Matrix<T> Y(A.rows(), b, A.device()), W(A.cols(), b, A.device());
    // 2. A·X against the basis so far: the next block of Q.
    A.multiply(X, Y);
    orthonormalize_against<T>(Q.view(), Y);
    Q.append(Y);
    // 3. Its image under Aᵀ: a block row of QᵀA, in the basis V that it extends: AᵀQ = V·core.
    A.multiply_adjoint(Y, W);
    const BlockCoefficients image = orthonormalize_against<T>(V.view(), W);
    V.append(W);
    append_columns(core, image.C, image.R);
    result.products += 2;
    result.sweeps += 2;

    // 4. Ritz values of QᵀA = coreᵀ·Vᵀ.
    const ThinSvd<double> ritz = thin_svd<double>(MatrixView<const double>(core));
    const StoppingRule::Verdict verdict = rule.judge(ritz.S);
    if (options.progress) options.progress({"block Krylov", -1});
    const Index left = std::min(A.rows(), A.cols()) - Q.cols();
    const bool full = left == 0;  // The basis is the whole space.
    const bool last = full || result.products >= options.max_products;
    if ((verdict.settled && Q.cols() > b) || last) {
      const Index k = std::min<Index>(verdict.rank, Q.cols());
      // core = (U of core)·S·(V of core)ᵀ, so A ≈ Q·coreᵀ·Vᵀ has left vectors Q·(V of core).
      result.U = rotated<T>(Q.view(), ritz.V, k);
      result.V = rotated<T>(V.view(), ritz.U, k);
      for (Index i = 0; i < k; ++i) result.S.push_back(static_cast<T>(ritz.S[static_cast<std::size_t>(i)]));
      result.converged = verdict.met && (verdict.settled || full);
      return result;
    }
    if (Q.cols() + b > limit && !verdict.met) {
      result.gave_up = true;
      return result;
    }
    X = b <= left ? std::move(W) : Matrix<T>::copy_of(W.left_cols(left));
  }
}

template MethodResult<float> krylov_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> krylov_method(const LinearOperator<double>&, const MethodInput&, Index);

}  // namespace lowrank
