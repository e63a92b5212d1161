#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <lowrank/core/primitives.hpp>
#include <string>
#include <vector>

/// What the tests of gen measure.

namespace gen_check {

using lowrank::Index;
using lowrank::Matrix;
using lowrank::MatrixView;

template <class T>
Matrix<double> widened(const Matrix<T>& X) {
  Matrix<double> wide(X.rows(), X.cols());
  for (Index j = 0; j < X.cols(); ++j)
    for (Index i = 0; i < X.rows(); ++i) wide(i, j) = static_cast<double>(X(i, j));
  return wide;
}

/// ‖QᵀQ − I‖_F / (eps·m).
inline double orthogonality_ratio(const Matrix<double>& Q) {
  Matrix<double> G = lowrank::gram<double>(Q);
  for (Index i = 0; i < G.rows(); ++i) G(i, i) -= 1;
  return lowrank::frobenius_norm<double>(G) /
         (std::numeric_limits<double>::epsilon() * static_cast<double>(std::max<Index>(Q.rows(), 1)));
}

/// max|σ(A) − sigma| / (eps·max(m, n)·‖A‖), eps that of T, σ(A) computed in double.
template <class T>
double spectrum_ratio(const Matrix<T>& A, std::vector<double> sigma) {
  const auto found = lowrank::thin_svd<double>(widened(A), lowrank::Vectors::none).S;
  sigma.resize(found.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < sigma.size(); ++i) {
    worst = std::max(worst, std::abs(sigma[i] - found[i]));
    largest = std::max(largest, found[i]);
  }
  return worst / (static_cast<double>(std::numeric_limits<T>::epsilon()) *
                  static_cast<double>(std::max(A.rows(), A.cols())) * largest);
}

template <class T>
bool same_bits(const Matrix<T>& A, const Matrix<T>& B) {
  return A.rows() == B.rows() && A.cols() == B.cols() &&
         (A.empty() || std::memcmp(A.data(), B.data(), static_cast<std::size_t>(A.size()) * sizeof(T)) == 0);
}

/// What std::invalid_argument says, or "" if nothing is thrown.
template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
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

}  // namespace gen_check
