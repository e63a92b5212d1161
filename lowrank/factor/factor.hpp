#pragma once

#include <lowrank/svd/svd.hpp>
#include <optional>
#include <string>

namespace lowrank {

/// Where the singular values go: B = U·S, A = Vᵀ, or B = U·√S, A = √S·Vᵀ.
enum class Split { us, sqrt };

/// W ≈ B·A with B m×r and A r×n, both row-major: as a file or a layer wants them (B.view().eigen_row_major() looks at
/// them).
template <Real T>
struct Factors {
  Matrix<T> B;
  Matrix<T> A;
  Index parameters_before = 0;  ///< m·n
  Index parameters_after = 0;   ///< (m + n)·r

  Index rank() const { return B.cols(); }
};

/// The factors of a truncated SVD. (m + n)·r operations.
template <Real T>
Factors<T> make_factors(const Svd<T>& svd, Split split = Split::us);

/// Y = B·(A·X) + b·1ᵀ without forming B·A: 2·(m + n)·r flops a column instead of 2·m·n. `bias` may be empty (0×0).
template <Real T>
Matrix<T> apply_factors(MatrixView<const T> B, MatrixView<const T> A, MatrixView<const T> X,
                        MatrixView<const T> bias = {});

template <Real T>
struct VerifyOptions {
  /// Equal means ‖W·x - B·A·x‖ <= rtol·max(‖W·x‖, ‖W‖_F·‖x‖/√n) for each input (the bias, which is the same on both
  /// sides, does not count); the second is the size of a typical output, so that an x with W·x ≈ 0 asks for no more
  /// than rounding allows. Negative: 1e-5 for float, 1e-10 for double.
  double rtol = -1;
  /// m×1 and n×k; drawn from the normal distribution with `seed` when absent (k = `inputs`).
  std::optional<MatrixView<const T>> bias{};
  std::optional<MatrixView<const T>> input{};
  Index inputs = 10;
  std::uint64_t seed = 0;
  /// Where the work is done (see moved_to); nullptr: where W is. B, A, the bias and the input may be anywhere; what is
  /// returned is where W is.
  Device* device = nullptr;
};

template <Real T>
struct Verification {
  bool equal = false;
  double max_abs_error = 0;   ///< max |W·x - B·A·x|
  double relative_error = 0;  ///< max over inputs of ‖W·x - B·A·x‖ / max(‖W·x‖, ‖W‖_F·‖x‖/√n)
  double tolerance = 0;
  Matrix<T> y;           ///< W·x + b, m×k
  Matrix<T> y_factored;  ///< B·(A·x) + b
  std::string note;      ///< where the work was done, if not where W is
  double seconds = 0;
};

/// Whether W·x + b equals B·(A·x) + b on the inputs. Throws std::invalid_argument when shapes do not fit, there are no
/// inputs, rtol is NaN, or an entry of any argument is NaN or Inf.
template <Real T>
Verification<T> verify_factors(const LinearOperator<T>& W, MatrixView<const T> B, MatrixView<const T> A,
                               const VerifyOptions<T>& options = {});

}  // namespace lowrank
