#include <algorithm>
#include <cmath>
#include <lowrank/svd/iterations.hpp>
#include <lowrank/svd/orthonormalize.hpp>

namespace lowrank {
namespace {

/// Appends the coefficients of one more block's image: `upper` of the basis so far, `lower` of its new block.
void append_columns(Eigen::MatrixXd& core, const Matrix<double>& upper, const Matrix<double>& lower) {
  const Index rows = core.rows(), cols = core.cols(), b = lower.cols();
  core.conservativeResize(upper.rows() + b, cols + b);
  core.bottomLeftCorner(upper.rows() + b - rows, cols).setZero();
  core.topRightCorner(upper.rows(), b) = upper.eigen();
  core.bottomRightCorner(b, b) = lower.eigen();
}

}  // namespace

/// Half the wish, in whole vectors of the kernels: the products with all blocks together then have a third of the
/// columns that subspace iteration needs for the same error. A narrower block has fewer still, but its products run at
/// the speed of memory. With few products allowed a block takes all of the wish.
Index krylov_block(const MethodInput& input, Index limit) {
  constexpr Index lanes = 16, least = 32, most = 128, few = 8;
  const Index width = panel_width(input, limit);
  if (width <= least || input.options.max_products < few) return width;
  return std::clamp((width / 2 + lanes / 2) / lanes * lanes, least, most);
}

template <Real T>
MatrixView<T> GrowingBasis<T>::next(Index count) {
  if (used_ + count > columns_.cols()) {
    Matrix<T> larger(columns_.rows(), std::max(2 * columns_.cols(), used_ + count), columns_.device());
    copy<T>(view(), larger.left_cols(used_));
    columns_ = std::move(larger);
  }
  return columns_.view().middle_cols(used_, count);
}

template <Real T>
BlockKrylov<T>::BlockKrylov(const LinearOperator<T>& A, const MethodInput& input, Index limit, const Coarse<T>* coarse)
    : A_(&A),
      coarse_(coarse),
      input_(input),
      limit_(limit),
      block_(krylov_block(input, limit)),
      rule_(input.wish, input.norm, input.options.excess, precision_of<T>(), std::min(A.rows(), A.cols()),
            StoppingRule::Basis::krylov),
      right_{{A.cols(), 3 * panel_width(input, limit), A.device()}, {}, 0},
      left_{{A.rows(), 3 * panel_width(input, limit), A.device()}, {}, 0} {}

template <Real T>
void BlockKrylov<T>::start() {
  const MatrixView<T> first = right_.basis.next(block_);
  fill_normal<T>(first, input_.options.seed, 0);
  orthonormalize<T>(first);
  right_.basis.grow(block_);
}

template <Real T>
bool BlockKrylov<T>::run(Index products) {
  for (;;) {
    // 1. The image of the last block, Y = op(A)·X, against the other basis: the next block of that.
    const MatrixView<const T> X = from_->basis.last(block_);
    const MatrixView<T> Y = to_->basis.next(block_);
    multiply(X, Y, products_ + 1 < products);
    products_ += 1;
    const BlockCoefficients image = orthonormalize_against<T>(to_->basis.view(), Y);
    if (from_ == &right_ && !swept_.empty()) keep_sweep(image);
    append_columns(from_->core, image.C, image.R);
    from_->lost = std::hypot(from_->lost, image.lost);
    to_->basis.grow(block_);

    // 2. Ritz values: op(A)·basis = (other basis)·core.
    judge();
    if (input_.options.progress) input_.options.progress({"block Krylov", -1});
    if (verdict_.hidden) return false;
    // Two products in one sweep cost no more than two with the coarse matrix.
    if (products_ == 1 && coarse_ != nullptr && swept_.empty() && coarse_->serves(core_values<T>(from_->core))) {
      A_ = &coarse_->A;
      rule_.set_precision(coarse_->precision);
    }
    const bool whole = from_->basis.cols() == from_->basis.rows();  // Nothing of A is left out.
    verdict_.settled |= whole && verdict_.met;
    if ((verdict_.settled && products_ > 1) || (verdict_.met && products_ >= products) || whole) return verdict_.met;

    // 3. The other way, if there is room.
    std::swap(from_, to_);
    const Index cols = to_->basis.cols() + block_;
    if (cols > to_->basis.rows() || (cols > limit_ && !verdict_.met)) return false;
  }
}

template <Real T>
void BlockKrylov<T>::multiply(MatrixView<const T> X, MatrixView<T> Y, bool more) {
  if (from_ == &left_ && !swept_.empty()) {
    copy<T>(swept_, Y);
    swept_ = {};
    return;
  }
  sweeps_ += 1;
  if (from_ == &left_) return A_->multiply_adjoint(X, Y);
  if (!fused_ || !more || !A_->fuses_normal(block_)) return A_->multiply(X, Y);
  swept_ = Matrix<T>(A_->cols(), block_, A_->device());
  A_->multiply_normal(X, Y, swept_);
}

/// From Aᵀ·Y to Aᵀ·Q with Y = Q'·C + Q·R, [Q', Q] the left basis, and Aᵀ·Q' = V·L:
///   Aᵀ·Q = (Aᵀ·Y - V·L·C)·R⁻¹
/// which is as good as a product while R is well conditioned. Later blocks are no better than this one.
template <Real T>
void BlockKrylov<T>::keep_sweep(const BlockCoefficients& image) {
  constexpr double most_condition = 16;
  const std::vector<double> R = thin_svd<double>(image.R, Vectors::none).S;
  fused_ = R.back() > 0 && R.front() <= most_condition * R.back();
  if (!fused_) {
    swept_ = {};
    return;
  }
  if (image.C.rows() > 0) {
    Matrix<double> LC(left_.core.rows(), block_);
    LC.eigen() = left_.core * image.C.eigen();
    lowrank::multiply<T>(T(-1), right_.basis.view(), from_double<T>(LC, A_->device()), T(1), swept_);
  }
  solve_upper_right<T>(swept_, image.R);
}

template <Real T>
void BlockKrylov<T>::judge() {
  verdict_ = {};
  if (from_->core.cols() < input_.wish.rank) return;
  verdict_ = rule_.judge(core_values<T>(from_->core));
}

template <Real T>
void BlockKrylov<T>::finish(MethodResult<T>& result) const {
  const Index count = std::min(verdict_.rank, from_->basis.cols());
  const CoreSvd ritz = core_svd<T>(from_->core, count);
  take_triplets<T>(from_->basis.view(), to_->basis.view(), ritz, count, from_ == &left_, result);
  if (block_ < count) result.residual = residual_block(ritz, count);
  result.converged = verdict_.settled;
}

/// With X·P = (the kept vectors here), Y·Q (there) and Y = [Y', Z], all blocks but the last and the last: op(A)·X = Y·K
/// and op(A)ᵀ·Y' = X·L, so that
///   op(A)ᵀ·Y·Q - X·P·S = (op(A)ᵀ·Z - X·K_Zᵀ)·Q_Z + X·(L·Q' + K_Zᵀ·Q_Z - P·S)
/// with K_Z the rows of K, Q_Z those of Q that belong to Z. The last term is what the two recurrences differ by,
/// rounding; so are the columns that gave way. All but the last block of K_Z is zero.
template <Real T>
ResidualBlock<T> BlockKrylov<T>::residual_block(const CoreSvd& ritz, Index count) const {
  const Index old = to_->basis.cols() - block_;
  const Eigen::MatrixXd K_Zt = from_->core.bottomRows(block_).transpose();
  const auto P = ritz.V.eigen().leftCols(count), Q = ritz.U.eigen().leftCols(count);
  Matrix<double> inside(block_, block_), coefficients(block_, count);
  inside.eigen() = K_Zt.bottomRows(block_);
  coefficients.eigen() = Q.bottomRows(block_);
  Eigen::MatrixXd rest =
      K_Zt * Q.bottomRows(block_) - P * Eigen::Map<const Eigen::VectorXd>(ritz.S.data(), count).asDiagonal();
  rest += to_->core * Q.topRows(old);
  return {Matrix<T>::copy_of(to_->basis.last(block_)),
          product<T>(from_->basis.last(block_), from_double<T>(inside, A_->device())),
          from_double<T>(coefficients, A_->device()), rest.colwise().norm().maxCoeff() + to_->lost};
}

template <Real T>
Handover<T> BlockKrylov<T>::handover() {
  const Index k = std::min(panel_width(input_, limit_, verdict_.rank), from_->basis.cols());
  const CoreSvd ritz = core_svd<T>(from_->core, k);
  return {rotated<T>(to_->basis.view(), ritz.U, k), from_ == &right_, rule_, verdict_.told, 1};
}

template class GrowingBasis<float>;
template class GrowingBasis<double>;
template class BlockKrylov<float>;
template class BlockKrylov<double>;

}  // namespace lowrank
