#pragma once

#include <limits>
#include <lowrank/svd/methods.hpp>

/// The iterations behind the truncated methods. Each finds a basis X of one side of A whose image op(A)·X is known, and
/// from it the triplets; it may hand over what it has found to an iteration in another precision.

namespace lowrank {

/// What an iteration in another precision may go on from.
struct Handover {
  Matrix<double> X;  ///< an orthonormal basis, on the host
  bool adjoint;      ///< X lies on the side of A's rows: its image is Aᵀ·X
  StoppingRule rule;
  double error;  ///< of the approximation by that basis
  Precision precision;
  std::uint64_t stream;
};

template <Real T>
constexpr Precision precision_of() {
  return {std::numeric_limits<T>::epsilon()};
}

/// Into `result`: the `count` leading triplets of op(A) on an orthonormal basis X whose image is op(A)·X = Y·core, from
/// the SVD of the core; op(A) is Aᵀ where `adjoint`.
template <Real T>
void take_triplets(MatrixView<const T> X, MatrixView<const T> Y, const ThinSvd<double>& core, Index count, bool adjoint,
                   MethodResult<T>& result);

/// Randomized subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4) in half-steps, each of which is one
/// product, one orthonormalization and one look at the Ritz values.
template <Real T>
class SubspaceIteration {
 public:
  SubspaceIteration(const LinearOperator<T>& A, const MethodInput& input, Index limit,
                    Precision precision = precision_of<T>());

  /// Columns of the first product.
  static Index first_block(const MethodInput& input, Index limit) { return panel_width(input, limit); }

  void start();
  void start(const Handover& from);
  /// Half-steps until the basis is good enough, or `products` are used up, or it would need more than the limit's
  /// columns, or its precision hides the answer. True when the image of the basis is the answer.
  bool run(Index products);
  void finish(MethodResult<T>& result) const;
  Handover handover();

  Index products() const { return products_; }
  Index sweeps() const { return sweeps_; }
  bool hidden() const { return verdict_.hidden; }

 private:
  Matrix<T> image();
  void turn(Matrix<T> Z);

  const LinearOperator<T>& A_;
  const MethodInput& input_;
  const Index limit_;
  const Precision precision_;
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
  BlockKrylov(const LinearOperator<T>& A, const MethodInput& input, Index limit,
              Precision precision = precision_of<T>());

  /// Columns of every product.
  static Index first_block(const MethodInput& input, Index limit);

  void start();
  bool run(Index products);
  void finish(MethodResult<T>& result) const;
  Handover handover();

  Index products() const { return products_; }
  Index sweeps() const { return products_; }
  bool hidden() const { return verdict_.hidden; }

 private:
  struct Side {
    GrowingBasis<T> basis;
    Eigen::MatrixXd core;  // op(A)·basis = (the other side's basis)·core
    double lost = 0;       // but for columns of this norm that were rounding
  };
  /// Judges the Ritz values of the side that was multiplied last.
  void judge();
  ResidualBlock<T> residual_block(const ThinSvd<double>& ritz, Index count) const;

  const LinearOperator<T>& A_;
  const MethodInput& input_;
  const Index limit_, block_;
  const Precision precision_;
  StoppingRule rule_;
  StoppingRule::Verdict verdict_;
  Side right_, left_;
  Side *from_ = &right_, *to_ = &left_;
  Index products_ = 0;
};

}  // namespace lowrank
