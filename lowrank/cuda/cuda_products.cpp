#include <algorithm>
#include <lowrank/core/training.hpp>
#include <lowrank/cuda/cuda_device.hpp>
#include <lowrank/cuda/libraries.hpp>

// What goes to cuBLAS. It knows column-major matrices only: a row-major one is the transposed of what lies there.

namespace lowrank::cuda {
namespace {

template <class View>
cublasOperation_t operation(const View& X) {
  return X.order() == Order::col_major ? CUBLAS_OP_N : CUBLAS_OP_T;
}

/// Set by whoever calls cuBLAS: each product has its own.
void set_math_mode(const Context& context, cublasMath_t mode) {
  context.check(cublasSetMathMode(context.blas(), mode), "cublasSetMathMode");
}

}  // namespace

template <Real T>
void gemm(const Context& context, T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C,
          bool tf32) {
  // Cᵀ = Bᵀ·Aᵀ for a row-major C.
  if (C.order() == Order::row_major)
    return gemm<T>(context, alpha, B.transposed(), A.transposed(), beta, C.transposed(), tf32);
  set_math_mode(context, tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH);
  context.check(gemm(context.blas(), operation(A), operation(B), C.rows(), C.cols(), A.cols(), alpha, A.data(), A.ld(),
                     B.data(), B.ld(), beta, C.data(), C.ld()),
                "gemm");
}
template void gemm<float>(const Context&, float, MatrixView<const float>, MatrixView<const float>, float,
                          MatrixView<float>, bool);
template void gemm<double>(const Context&, double, MatrixView<const double>, MatrixView<const double>, double,
                           MatrixView<double>, bool);

template <Real T>
Context& CudaPrimitives<T>::context() const {
  return device_.context();
}

template <Real T>
void CudaPrimitives<T>::multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) const {
  if (C.empty()) return;
  if (A.cols() > 0) return context().run("multiply", [&] { gemm<T>(context(), alpha, A, B, beta, C); });
  if (beta == T(0))
    fill(C, T(0));
  else if (beta != T(1))
    scale_columns(C, std::vector<double>(static_cast<std::size_t>(C.cols()), static_cast<double>(beta)));
}

template <Real T>
bool CudaPrimitives<T>::multiplies_rounded(Rounding to) const {
  return std::is_same_v<T, float> && to == Rounding::to_tf32;
}

template <Real T>
void CudaPrimitives<T>::multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X,
                                         MatrixView<float> C) const {
  if constexpr (std::is_same_v<T, float>)
    if (to == Rounding::to_tf32) {
      if (A.cols() == 0) return fill(C, 0);
      return context().run("multiply_rounded", [&] { gemm<float>(context(), 1, A, X, 0, C, true); });
    }
  Primitives<T>::multiply_rounded(to, A, X, C);
}

template <Real T>
Matrix<double> CudaPrimitives<T>::gram(MatrixView<const T> X) const {
  const Index k = X.cols();
  Matrix<double> G(k, k);
  if (X.empty()) {
    std::fill_n(G.data(), G.size(), 0.0);
    return G;
  }
  context().run("gram", [&] {
    Matrix<double> sum(k, k, device_);
    // A float panel is widened in blocks of rows. gemm does twice syrk's flops, but cuts long sums among the cores.
    constexpr Index block_bytes = Index{256} << 20;
    const bool widen = std::is_same_v<T, float>;
    const Index block =
        widen ? std::clamp<Index>(block_bytes / (k * static_cast<Index>(sizeof(double))), 1, X.rows()) : X.rows();
    Matrix<double> wide(widen ? block : 0, widen ? k : 0, X.order(), device_);
    for (Index i = 0; i < X.rows(); i += block) {
      const MatrixView<const T> part = X.middle_rows(i, std::min(block, X.rows() - i));
      MatrixView<const double> factor;
      if constexpr (std::is_same_v<T, float>) {
        const MatrixView<double> to = wide.view().middle_rows(0, part.rows());
        // Neighbouring threads run along what is contiguous.
        const bool columns = part.order() == Order::col_major;
        context().check(cuda::copy<float, double>(strided(columns ? part : part.transposed()),
                                                  strided(columns ? to : to.transposed()), context().stream()),
                        "widen");
        factor = to;
      } else {
        factor = part;
      }
      gemm<double>(context(), 1, factor.transposed(), factor, i == 0 ? 0 : 1, sum);
    }
    device_.download(sum.data(), G.data(), {G.size() * static_cast<Index>(sizeof(double))});
  });
  for (Index j = 0; j < k; ++j)
    for (Index i = j + 1; i < k; ++i) G(i, j) = G(j, i);
  return G;
}

template <Real T>
void CudaPrimitives<T>::solve_upper_right(MatrixView<T> X, MatrixView<const double> R) const {
  if (X.empty()) return;
  const Index k = X.cols();
  std::vector<T> host(static_cast<std::size_t>(k * k), T(0));
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i <= j; ++i) host[static_cast<std::size_t>(i + j * k)] = static_cast<T>(R(i, j));
  context().run("solve_upper_right", [&] {
    const Buffer<T> factor(std::span<const T>(host), device_);
    set_math_mode(context(), CUBLAS_DEFAULT_MATH);
    const bool columns = X.order() == Order::col_major;  // By rows: Xᵀ ← R⁻ᵀ·Xᵀ on the same memory.
    context().check(
        trsm(context().blas(), columns ? CUBLAS_SIDE_RIGHT : CUBLAS_SIDE_LEFT, columns ? CUBLAS_OP_N : CUBLAS_OP_T,
             columns ? X.rows() : k, columns ? k : X.rows(), factor.data(), k, X.data(), X.ld()),
        "trsm");
  });
}

#define LOWRANK_INSTANTIATE(T)                                                                                    \
  template bool CudaPrimitives<T>::multiplies_rounded(Rounding) const;                                            \
  template void CudaPrimitives<T>::multiply_rounded(Rounding, MatrixView<const T>, MatrixView<const float>,       \
                                                    MatrixView<float>) const;                                     \
  template Context& CudaPrimitives<T>::context() const;                                                           \
  template void CudaPrimitives<T>::multiply(T, MatrixView<const T>, MatrixView<const T>, T, MatrixView<T>) const; \
  template Matrix<double> CudaPrimitives<T>::gram(MatrixView<const T>) const;                                     \
  template void CudaPrimitives<T>::solve_upper_right(MatrixView<T>, MatrixView<const double>) const;
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank::cuda
