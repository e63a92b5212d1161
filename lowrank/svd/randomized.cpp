#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <lowrank/svd/methods.hpp>
#include <lowrank/svd/orthonormalize.hpp>
#include <lowrank/svd/scaling.hpp>
#include <memory>

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

/// What an iteration in another precision may go on from.
struct Handover {
  Matrix<double> X;  ///< an orthonormal basis, on the host
  bool adjoint;
  StoppingRule rule;
  double error;  ///< of the approximation by that basis
  std::uint64_t stream;
};

/// Relative errors for which products in float are as good as any: well above float's rounding.
constexpr double kFloatsReach = 1e-3;

template <Real T>
class SubspaceIteration {
 public:
  SubspaceIteration(const LinearOperator<T>& A, const MethodInput& input, Index limit)
      : A_(A),
        input_(input),
        limit_(limit),
        fused_(A.single_sweep_normal()),
        rule_(input.wish, input.norm, input.options.excess, std::numeric_limits<T>::epsilon(),
              std::min(A.rows(), A.cols())),
        width_(panel_width(input, limit)) {}

  void start() {
    X_ = widened(Matrix<T>(), A_.cols(), width_, A_.device(), input_.options.seed, stream_++);
    orthonormalize<T>(X_);
  }
  void start(const Handover& from) {
    X_ = from_double<T>(from.X, A_.device());
    adjoint_ = from.adjoint;
    stream_ = from.stream;
    width_ = X_.cols();
    // Ritz values that float's rounding has touched say nothing of a smaller error.
    if (from.error >= kFloatsReach * input_.norm) {
      since_growth_ = 1;
      rule_.follow(from.rule);
    }
    orthonormalize<T>(X_);
  }

  /// Half-steps until the basis is good enough, or `products` are used up, or it would need more than the limit's
  /// columns. True when the image of the basis is the answer.
  bool run(Index products) {
    for (;;) {
      // 1. The image of the basis, Y = op(A)·X (fused: and Z = Aᵀ·Y in the same sweep).
      Matrix<T> Z = image();
      // 2. Y = Q·R, and the Ritz values are the singular values of R: op(A)·X·Xᵀ = Q·R·Xᵀ.
      R_ = orthonormalize<T>(Y_);
      verdict_ = rule_.judge(thin_svd<double>(R_, Vectors::none).S);
      if (input_.options.progress) input_.options.progress({"subspace iteration", -1});
      // 3. Done, or out of products.
      const bool last = products_ >= products;
      if ((verdict_.settled && since_growth_ > 1) || (last && (verdict_.met || width_ >= limit_))) return true;
      // 4. The image is the next basis, on the other side; wider where the wish is not met yet.
      turn(std::move(Z));
      if (!verdict_.met && since_growth_ > 1) {
        if (width_ >= limit_) return false;
        width_ = std::min(2 * width_, limit_);
        X_ = widened(X_, X_.rows(), width_, A_.device(), input_.options.seed, stream_++);
        rule_.basis_grew();
        since_growth_ = 0;
      }
      if (fused_ || since_growth_ == 0) orthonormalize<T>(X_);
    }
  }

  /// U and V are the two bases rotated to the Ritz vectors.
  void finish(MethodResult<T>& result) {
    const ThinSvd<double> core = thin_svd<double>(R_);
    const Index k = std::min(verdict_.rank, width_);
    Matrix<T> left = rotated<T>(Y_, core.U, k), right = rotated<T>(X_, core.V, k);
    result.U = std::move(adjoint_ ? right : left);
    result.V = std::move(adjoint_ ? left : right);
    for (Index i = 0; i < k; ++i) result.S.push_back(static_cast<T>(core.S[static_cast<std::size_t>(i)]));
    result.converged = verdict_.settled;
    result.exact_on_left = adjoint_;
  }

  Handover handover() {
    turn({});
    return {to_double<T>(X_), adjoint_, rule_, verdict_.error, stream_};
  }

  Index products() const { return products_; }
  Index sweeps() const { return sweeps_; }

 private:
  Matrix<T> image() {
    Matrix<T> Z;
    Y_ = Matrix<T>(adjoint_ ? A_.cols() : A_.rows(), width_, A_.device());
    if (fused_) {
      Z = Matrix<T>(A_.cols(), width_, A_.device());
      A_.multiply_normal(X_, Y_, Z);
    } else if (adjoint_) {
      A_.multiply_adjoint(X_, Y_);
    } else {
      A_.multiply(X_, Y_);
    }
    products_ += fused_ ? 2 : 1;
    sweeps_ += 1;
    since_growth_ += fused_ ? 2 : 1;
    return Z;
  }
  void turn(Matrix<T> Z) {
    if (fused_) {
      X_ = rotated<T>(Z, thin_svd<double>(R_).V, width_);
    } else {
      X_ = std::move(Y_);
      adjoint_ = !adjoint_;
    }
  }

  const LinearOperator<T>& A_;
  const MethodInput& input_;
  const Index limit_;
  const bool fused_;
  StoppingRule rule_;
  StoppingRule::Verdict verdict_;
  Matrix<T> X_, Y_;
  Matrix<double> R_;
  bool adjoint_ = false;  // X lies on the side of A's columns; its image A·X on the side of the rows.
  Index width_, since_growth_ = 0, products_ = 0, sweeps_ = 0;
  std::uint64_t stream_ = 0;
};

/// Whether the wish may be for an error within float's reach, and the entries lie in its range.
bool float_serves(const MethodInput& input) {
  constexpr Index in_double = 2;  // Products that may have to follow.
  if (!input.options.float_passes || input.options.max_products <= in_double) return false;
  if (input.norm <= 0 || safe_scale<float>(input.norm) != 1) return false;
  return input.wish.rank > 0 || input.wish.rtol >= kFloatsReach;
}

}  // namespace

template <Real T>
MethodResult<T> randomized_method(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const SvdOptions& options = input.options;
  MethodResult<T> result;
  SubspaceIteration<T> iteration(A, input, limit);
  std::unique_ptr<LinearOperator<float>> rounded = float_serves(input) ? A.in_float() : nullptr;
  Index products = 0, sweeps = 0;
  if (rounded) {
    SubspaceIteration<float> rough(*rounded, input, limit);
    rough.start();
    result.gave_up = !rough.run(options.max_products - 2);
    products = rough.products(), sweeps = rough.sweeps();
    if (!result.gave_up) iteration.start(rough.handover());
  } else {
    iteration.start();
  }
  if (!result.gave_up) result.gave_up = !iteration.run(std::max<Index>(options.max_products - products, 1));
  if (!result.gave_up) iteration.finish(result);
  result.products = products + iteration.products();
  result.sweeps = sweeps + iteration.sweeps();
  if (rounded) result.note = fmt::format("{} of {} products in float", products, result.products);
  return result;
}

template Matrix<float> rotated(MatrixView<const float>, const Matrix<double>&, Index);
template Matrix<double> rotated(MatrixView<const double>, const Matrix<double>&, Index);
template MethodResult<float> randomized_method(const LinearOperator<float>&, const MethodInput&, Index);
template MethodResult<double> randomized_method(const LinearOperator<double>&, const MethodInput&, Index);

}  // namespace lowrank
