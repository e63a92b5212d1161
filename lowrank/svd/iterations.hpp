#pragma once

#include <limits>
#include <lowrank/svd/core_svd.hpp>
#include <lowrank/svd/methods.hpp>
#include <lowrank/svd/orthonormalize.hpp>

/// The iterations behind the truncated methods. Each finds a basis X of one side of A whose image op(A)·X is known, and
/// from it the triplets; it may hand over what it has found to an iteration in another precision.

namespace lowrank {

/// What an iteration in another precision may go on from.
template <Real T>
struct Handover {
  Matrix<T> X;   ///< an orthonormal basis
  bool adjoint;  ///< X lies on the side of A's rows: its image is Aᵀ·X
  StoppingRule rule;
  bool told;  ///< that iteration's precision told the error of the approximation by that basis
  std::uint64_t stream;
};

template <Real T>
constexpr Precision precision_of() {
  return {std::numeric_limits<T>::epsilon()};
}

/// The same matrix more coarsely, for an iteration to go on with once its first product has shown that the error will
/// be within its reach.
template <Real T>
struct Coarse {
  const LinearOperator<T>& A;
  Precision precision;

  /// `image` are the singular values of the image of a Gaussian block: those of A, blurred. The last third stands for
  /// what an approximation leaves out.
  bool serves(const std::vector<double>& image) const;
};

/// Into `result`: the `count` leading triplets of op(A) on an orthonormal basis X whose image is op(A)·X = Y·core, from
/// the SVD of the core; op(A) is Aᵀ where `adjoint`.
template <Real T>
void take_triplets(MatrixView<const T> X, MatrixView<const T> Y, const CoreSvd& core, Index count, bool adjoint,
                   MethodResult<T>& result);

/// Randomized subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4) in half-steps, each of which is one
/// product, one orthonormalization and one look at the Ritz values.
template <Real T>
class SubspaceIteration {
 public:
  SubspaceIteration(const LinearOperator<T>& A, const MethodInput& input, Index limit,
                    const Coarse<T>* coarse = nullptr);

  void start();
  template <Real S>
  void start(Handover<S> from);
  /// Half-steps until the basis is good enough, or `products` are used up, or it would need more than the limit's
  /// columns, or the answer is hidden in the coarse matrix. True when the image of the basis is the answer.
  bool run(Index products);
  void finish(MethodResult<T>& result) const;
  Handover<T> handover();

  Index products() const { return products_; }
  Index sweeps() const { return sweeps_; }
  bool hidden() const { return verdict_.hidden; }
  /// Whether it has gone on with the coarse matrix; after one product with the other.
  bool is_coarse() const { return coarse_ != nullptr && &coarse_->A == A_; }

 private:
  Matrix<T> image();
  void turn(Matrix<T> Z);

  const LinearOperator<T>* A_;
  const Coarse<T>* coarse_;
  const MethodInput& input_;
  const Index limit_;
  const bool fused_;
  StoppingRule rule_;
  StoppingRule::Verdict verdict_;
  Matrix<T> X_, Y_;  // Y = Q of op(A)·X = Q·R
  Matrix<double> R_;
  bool adjoint_ = false;
  Index width_, since_growth_ = 0, products_ = 0, sweeps_ = 0;
  std::uint64_t stream_ = 0;
};

/// An orthonormal basis that grows by blocks; memory is taken in doublings.
template <Real T>
class GrowingBasis {
 public:
  GrowingBasis(Index rows, Index capacity, Device& device) : columns_(rows, capacity, device) {}

  Index rows() const { return columns_.rows(); }
  Index cols() const { return used_; }
  MatrixView<const T> view() const { return columns_.left_cols(used_); }
  MatrixView<const T> last(Index count) const { return columns_.view().middle_cols(used_ - count, count); }
  /// Room for the next block; what is there becomes part of the basis by grow().
  MatrixView<T> next(Index count);
  void grow(Index count) { used_ += count; }

 private:
  Matrix<T> columns_;
  Index used_ = 0;
};

/// Block Golub-Kahan bidiagonalization with full reorthogonalization (Golub, Luk, Overton 1981; its convergence: Musco
/// and Musco 2015, and for blocks narrower than the wish Meyer, Musco, Musco 2024). A half-step multiplies the last
/// block of one side's basis and extends the other side's: A·V = Q·K, AᵀQ = V·L.
template <Real T>
class BlockKrylov {
 public:
  BlockKrylov(const LinearOperator<T>& A, const MethodInput& input, Index limit, const Coarse<T>* coarse = nullptr);

  void start();
  bool run(Index products);
  void finish(MethodResult<T>& result) const;
  Handover<T> handover();

  Index products() const { return products_; }
  Index sweeps() const { return sweeps_; }
  bool hidden() const { return verdict_.hidden; }
  bool is_coarse() const { return coarse_ != nullptr && &coarse_->A == A_; }

 private:
  struct Side {
    GrowingBasis<T> basis;
    Eigen::MatrixXd core;  // op(A)·basis = (the other side's basis)·core
    double lost = 0;       // but for columns of this norm that were rounding
  };
  /// Y = op(A)·X, the last block here; where a sweep over A gives more, that is kept for the next half-step, if there
  /// is to be one.
  void multiply(MatrixView<const T> X, MatrixView<T> Y, bool more);
  void keep_sweep(const BlockCoefficients& image);
  /// Judges the Ritz values of the side that was multiplied last.
  void judge();
  ResidualBlock<T> residual_block(const CoreSvd& ritz, Index count) const;

  const LinearOperator<T>* A_;
  const Coarse<T>* coarse_;
  const MethodInput& input_;
  const Index limit_, block_;
  StoppingRule rule_;
  StoppingRule::Verdict verdict_;
  Side right_, left_;
  Side *from_ = &right_, *to_ = &left_;
  Matrix<T> swept_;  // Aᵀ times the last block of the left, if one sweep has given both products
  bool fused_ = true;
  Index products_ = 0, sweeps_ = 0;
};

}  // namespace lowrank
