#pragma once

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <string>
#include <vector>

#include "device.hpp"

/// What the tests of the algorithmic core measure with, and matrices laid out in every way a view allows.

namespace check {

using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;
using lowrank::Order;

using Dense = Eigen::MatrixXd;

inline constexpr std::array orders{Order::col_major, Order::row_major};

template <class T>
constexpr double eps = std::numeric_limits<T>::epsilon();

/// A row- or column-major matrix whose leading dimension is `gap` larger than it need be. The gaps hold NaN: a kernel
/// that reads them spoils its result, one that writes them is caught by gaps_untouched(). Views are of the memory of
/// the device under test; entries are read and set on the host, and what was set is there when the next view is taken.
template <class T>
class Laid {
 public:
  Laid(Index rows, Index cols, Order order = Order::col_major, Index gap = 0)
      : lines_(order == Order::col_major ? cols : rows),
        length_(order == Order::col_major ? rows : cols),
        ld_(std::max<Index>(1, length_ + gap)),
        memory_(static_cast<std::size_t>(ld_ * lines_ + 1), std::numeric_limits<T>::quiet_NaN()),
        there_(on_host() ? nullptr : device().allocate(bytes())),
        here_(memory_.data(), rows, cols, ld_, order),
        view_(on_host() ? memory_.data() : static_cast<T*>(there_.get()), rows, cols, ld_, order, device()) {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) here_(i, j) = T(0);
  }
  Laid(const Dense& values, Order order, Index gap = 0) : Laid(values.rows(), values.cols(), order, gap) {
    for (Index i = 0; i < values.rows(); ++i)
      for (Index j = 0; j < values.cols(); ++j) here_(i, j) = static_cast<T>(values(i, j));
  }
  Laid(const Laid&) = delete;
  Laid& operator=(const Laid&) = delete;

  MatrixView<T> view() { return current(); }
  operator MatrixView<T>() { return current(); }
  operator MatrixView<const T>() const { return current(); }
  T& operator()(Index i, Index j) {
    fetch();
    set_here_ = true;
    return here_(i, j);
  }

  bool gaps_untouched() const {
    fetch();
    for (Index line = 0; line < lines_; ++line)
      for (Index k = length_; k < ld_; ++k)
        if (!std::isnan(memory_[static_cast<std::size_t>(line * ld_ + k)])) return false;
    return std::isnan(memory_.back());
  }

 private:
  Index bytes() const { return static_cast<Index>(memory_.size() * sizeof(T)); }
  MatrixView<T> current() const {
    if (set_here_ && there_) device().upload(memory_.data(), there_.get(), {bytes()});
    set_here_ = false;
    return view_;
  }
  void fetch() const {
    if (!set_here_ && there_) device().download(there_.get(), memory_.data(), {bytes()});
  }

  Index lines_, length_, ld_;
  mutable std::vector<T> memory_;
  std::shared_ptr<void> there_;
  MatrixView<T> here_, view_;
  mutable bool set_here_ = true;
};

template <class T>
Dense dense(MatrixView<const T> X) {
  if (&X.device() != &lowrank::host_device()) {
    Matrix<T> here(X.rows(), X.cols());
    lowrank::copy<T>(X, here);
    return dense<T>(here.view());
  }
  Dense result(X.rows(), X.cols());
  for (Index j = 0; j < X.cols(); ++j)
    for (Index i = 0; i < X.rows(); ++i) result(i, j) = static_cast<double>(X(i, j));
  return result;
}
template <class T>
Dense dense(const Matrix<T>& X) {
  return dense<T>(X.view());
}

/// The nearest numbers of T.
template <class T>
Dense rounded(const Dense& X) {
  return X.cast<T>().template cast<double>();
}

/// Independent standard normals, the same for the same seed.
inline Dense gaussian(Index rows, Index cols, std::uint64_t seed) {
  Matrix<double> X(rows, cols);
  lowrank::fill_normal<double>(X, seed, 77);
  return dense(X);
}

/// Orthonormal columns spanning those of a Gaussian panel.
inline Dense haar(Index rows, Index cols, std::uint64_t seed) {
  Matrix<double> X(rows, cols);
  lowrank::fill_normal<double>(X, seed, 78);
  lowrank::householder_qr<double>(X);
  return dense(X);
}

inline Dense with_spectrum(Index rows, Index cols, const std::vector<double>& sigma, std::uint64_t seed) {
  const auto k = static_cast<Index>(sigma.size());
  const Eigen::Map<const Eigen::VectorXd> s(sigma.data(), k);
  return haar(rows, k, seed) * s.asDiagonal() * haar(cols, k, seed + 1000).transpose();
}

/// Singular values in double, falling.
inline std::vector<double> singular_values(const Dense& A) {
  if (A.size() == 0) return {};
  return lowrank::thin_svd<double>(A, lowrank::Vectors::none).S;
}

inline double spectral_norm(const Dense& A) {
  const auto sigma = singular_values(A);
  return sigma.empty() ? 0.0 : sigma.front();
}

/// √(Σ_{i>k} σᵢ²): the least Frobenius error of rank k.
inline double best_error(const std::vector<double>& sigma, Index k) {
  double sum = 0;
  for (std::size_t i = sigma.size(); i > static_cast<std::size_t>(k); --i) sum = std::hypot(sum, sigma[i - 1]);
  return sum;
}

template <class T>
Dense diagonal_product(const Dense& U, const std::vector<T>& S, const Dense& V) {
  Dense US = U;
  for (Index j = 0; j < US.cols(); ++j) US.col(j) *= static_cast<double>(S[static_cast<std::size_t>(j)]);
  return US * V.transpose();
}

/// ‖A - U·S·Vᵀ‖_F / (eps·max(m, n)·‖A‖_F), eps that of T: LAPACK's residual ratio.
template <class T, class Value>
double residual_ratio(const Dense& A, const Dense& U, const std::vector<Value>& S, const Dense& V) {
  const double error = (A - diagonal_product(U, S, V)).norm();
  const double unit = eps<T> * static_cast<double>(std::max<Index>({A.rows(), A.cols(), 1})) * A.norm();
  if (unit == 0) return error == 0 ? 0.0 : std::numeric_limits<double>::infinity();
  return error / unit;
}

/// ‖found - expected‖_F / (eps·max(m, n)·‖expected‖_F).
template <class T>
double difference_ratio(const Dense& found, const Dense& expected) {
  if (found.rows() != expected.rows() || found.cols() != expected.cols())
    return std::numeric_limits<double>::infinity();
  const double error = (found - expected).norm();
  const double unit =
      eps<T> * static_cast<double>(std::max<Index>({expected.rows(), expected.cols(), 1})) * expected.norm();
  if (unit == 0) return error == 0 ? 0.0 : std::numeric_limits<double>::infinity();
  return error / unit;
}

/// ‖QᵀQ - I‖_F / (eps·m), eps that of T.
template <class T>
double orthogonality_ratio(const Dense& Q) {
  const Dense G = Q.transpose() * Q - Dense::Identity(Q.cols(), Q.cols());
  return G.norm() / (eps<T> * static_cast<double>(std::max<Index>(Q.rows(), 1)));
}

/// |found - expected| <= relative·|expected|. (doctest::Approx adds an absolute tolerance, which tiny numbers always
/// meet.)
inline bool near(double found, double expected, double relative) {
  return std::abs(found - expected) <= relative * std::abs(expected);
}

/// The sine of the largest angle between the spans of two orthonormal bases of as many columns.
inline double subspace_distance(const Dense& P, const Dense& Q) { return spectral_norm(P - Q * (Q.transpose() * P)); }

/// Whether the entry of largest magnitude of each column is positive; equals to rounding may be of either sign.
template <class T>
bool signs_follow_rule(const Dense& U) {
  for (Index j = 0; j < U.cols(); ++j)
    if (U.col(j).maxCoeff() < U.col(j).cwiseAbs().maxCoeff() * (1 - 8 * eps<T>)) return false;
  return true;
}

template <class T>
bool falling(const std::vector<T>& S) {
  for (std::size_t i = 0; i < S.size(); ++i)
    if (!(S[i] >= 0) || (i > 0 && S[i] > S[i - 1])) return false;
  return true;
}

/// What the exception says, or "" if none of that type is thrown.
template <class Exception, class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Exception& error) {
    return error.what();
  } catch (...) {
  }
  return "";
}

template <class Action>
std::string refusal(const Action& action) {
  return message_of<std::invalid_argument>(action);
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Sets the number of threads and puts the old one back.
class Threads {
 public:
  explicit Threads(int count) : before_(lowrank::threads()) { lowrank::set_threads(count); }
  ~Threads() { lowrank::set_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace check
