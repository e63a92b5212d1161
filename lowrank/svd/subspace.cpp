#include <algorithm>
#include <lowrank/svd/iterations.hpp>
#include <lowrank/svd/orthonormalize.hpp>

namespace lowrank {
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
SubspaceIteration<T>::SubspaceIteration(const LinearOperator<T>& A, const MethodInput& input, Index limit,
                                        const Coarse<T>* coarse)
    : A_(&A),
      coarse_(coarse),
      input_(input),
      limit_(limit),
      fused_(A.single_sweep_normal()),
      rule_(input.wish, input.norm, input.options.excess, precision_of<T>(), std::min(A.rows(), A.cols())),
      width_(panel_width(input, limit)) {}

template <Real T>
void SubspaceIteration<T>::start() {
  X_ = widened(Matrix<T>(), A_->cols(), width_, A_->device(), input_.options.seed, stream_++);
  orthonormalize<T>(X_);
}

template <Real T>
template <Real S>
void SubspaceIteration<T>::start(Handover<S> from) {
  if constexpr (std::is_same_v<S, T>)
    X_ = std::move(from.X);
  else
    X_ = from_double<T>(to_double<S>(from.X), A_->device());
  adjoint_ = from.adjoint;
  stream_ = from.stream;
  width_ = X_.cols();
  // Ritz values that rounding has touched say nothing of a smaller error.
  if (from.told) {
    since_growth_ = 1;
    rule_.follow(from.rule);
  }
  orthonormalize<T>(X_);
}

template <Real T>
bool SubspaceIteration<T>::run(Index products) {
  for (;;) {
    // 1. The image of the basis, Y = op(A)·X (fused: and Z = Aᵀ·Y in the same sweep).
    Matrix<T> Z = image();
    // 2. Y = Q·R, and the Ritz values are the singular values of R: op(A)·X·Xᵀ = Q·R·Xᵀ.
    R_ = orthonormalize<T>(Y_);
    const std::vector<double> ritz = core_values<T>(R_);
    verdict_ = rule_.judge(ritz);
    if (input_.options.progress) input_.options.progress({"subspace iteration", -1});
    if (verdict_.hidden) return false;
    if (products_ == 1 && coarse_ != nullptr && coarse_->serves(ritz)) {
      A_ = &coarse_->A;
      rule_.set_precision(coarse_->precision);
    }
    // 3. Done, or out of products.
    const bool last = products_ >= products;
    if ((verdict_.settled && since_growth_ > 1) || (last && (verdict_.met || width_ >= limit_))) return true;
    // 4. The image is the next basis, on the other side; wider where the wish is not met yet.
    turn(std::move(Z));
    if (!verdict_.met && since_growth_ > 1) {
      if (width_ >= limit_) return false;
      width_ = std::min(2 * width_, limit_);
      X_ = widened(X_, X_.rows(), width_, A_->device(), input_.options.seed, stream_++);
      rule_.basis_grew();
      since_growth_ = 0;
    }
    if (fused_ || since_growth_ == 0) orthonormalize<T>(X_);
  }
}

template <Real T>
void SubspaceIteration<T>::finish(MethodResult<T>& result) const {
  const Index count = std::min(verdict_.rank, width_);
  take_triplets<T>(X_, Y_, core_svd<T>(R_, count), count, adjoint_, result);
  result.converged = verdict_.settled;
}

template <Real T>
Handover<T> SubspaceIteration<T>::handover() {
  turn({});
  return {std::move(X_), adjoint_, rule_, verdict_.told, stream_};
}

template <Real T>
Matrix<T> SubspaceIteration<T>::image() {
  Matrix<T> Z;
  Y_ = Matrix<T>(adjoint_ ? A_->cols() : A_->rows(), width_, A_->device());
  if (fused_) {
    Z = Matrix<T>(A_->cols(), width_, A_->device());
    A_->multiply_normal(X_, Y_, Z);
  } else if (adjoint_) {
    A_->multiply_adjoint(X_, Y_);
  } else {
    A_->multiply(X_, Y_);
  }
  products_ += fused_ ? 2 : 1;
  sweeps_ += 1;
  since_growth_ += fused_ ? 2 : 1;
  return Z;
}

template <Real T>
void SubspaceIteration<T>::turn(Matrix<T> Z) {
  if (fused_) {
    X_ = rotated<T>(Z, thin_svd<double>(R_).V, width_);
  } else {
    X_ = std::move(Y_);
    adjoint_ = !adjoint_;
  }
}

template class SubspaceIteration<float>;
template class SubspaceIteration<double>;
template void SubspaceIteration<float>::start(Handover<float>);
template void SubspaceIteration<double>::start(Handover<float>);

}  // namespace lowrank
