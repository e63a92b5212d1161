#pragma once

#include <lowrank/core/matrix.hpp>
#include <lowrank/core/primitives.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowrank {

/// A matrix known by its products with thin panels. The four pure functions are enough for every
/// algorithm here; the others have defaults that an operator replaces where it knows better. Threads may share an
/// operator of this library; those of your own must allow it only where you do that.
///
///   struct Laplacian final : lowrank::LinearOperator<double> {
///     lowrank::Index rows() const override { return n; }
///     lowrank::Index cols() const override { return n; }
///     void multiply(lowrank::MatrixView<const double> X, lowrank::MatrixView<double> Y) const override { ... }
///     void multiply_adjoint(lowrank::MatrixView<const double> X, lowrank::MatrixView<double> Y) const override { ... }
///   };
template <Real T>
class LinearOperator {
 public:
  using Scalar = T;
  virtual ~LinearOperator() = default;

  virtual Index rows() const = 0;
  virtual Index cols() const = 0;

  /// Y = A·X, with X cols()×k and Y rows()×k.
  virtual void multiply(MatrixView<const T> X, MatrixView<T> Y) const = 0;
  /// Y = Aᵀ·X, with X rows()×k and Y cols()×k.
  virtual void multiply_adjoint(MatrixView<const T> X, MatrixView<T> Y) const = 0;

  /// Y = A·X and Z = Aᵀ·Y. One sweep over A where single_sweep_normal(), else two.
  virtual void multiply_normal(MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const;
  /// Whether a sweep is so dear (a file) and multiply_normal so much cheaper than two products that
  /// algorithms should prefer it.
  virtual bool single_sweep_normal() const { return false; }
  /// Whether multiply_normal with so many columns is at least faster than the two products.
  virtual bool fuses_normal(Index /*columns*/) const { return single_sweep_normal(); }

  /// ‖A‖_F, exact up to rounding, or nothing when it cannot be had for about the price of a product.
  /// Throws std::invalid_argument naming the first NaN or Inf, if the operator holds entries and has one.
  virtual std::optional<double> frobenius_norm() const { return std::nullopt; }

  /// ‖A - L·R‖_F without cancellation, L rows()×k and R k×cols(), for about the price of two products; or nothing.
  virtual std::optional<double> residual_norm([[maybe_unused]] MatrixView<const T> L,
                                              [[maybe_unused]] MatrixView<const T> R) const {
    return std::nullopt;
  }

  /// The entries, if they lie in the device's memory as a dense matrix.
  virtual std::optional<MatrixView<const T>> entries() const { return std::nullopt; }
  /// A as a dense matrix in memory, in either order. The default multiplies by the identity, block by block.
  virtual Matrix<T> to_dense() const;

  /// The same matrix, its entries rounded on their way into products with panels in float (see multiply_rounded), if
  /// that is faster than products in T; or nothing. Refers to what this operator refers to. Entries must lie within
  /// float's range.
  virtual std::unique_ptr<LinearOperator<float>> rounded(Rounding) const { return nullptr; }

  /// The device on which the panels must live.
  virtual Device& device() const { return host_device(); }
  /// "dense", "sparse", "mapped file", ...: for messages.
  virtual std::string kind() const { return "operator"; }
  /// Floating-point operations of a product with one column, for choosing a method.
  virtual double flops_per_column() const { return 2.0 * static_cast<double>(rows()) * static_cast<double>(cols()); }
};

/// Throws std::invalid_argument unless X is A.cols()×k and Y is A.rows()×k, both on A's device: for operators that do
/// not hand their panels to primitives.
template <Real T>
void check_panels(const LinearOperator<T>& A, MatrixView<const T> X, MatrixView<const T> Y);
template <Real T>
void check_adjoint_panels(const LinearOperator<T>& A, MatrixView<const T> X, MatrixView<const T> Y);

}  // namespace lowrank
