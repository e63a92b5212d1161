#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <lowrank/op/entries.hpp>
#include <lowrank/svd/methods.hpp>

namespace lowrank {
namespace {

template <Real T>
Index rank_for(const std::vector<T>& S, const Truncation& wish) {
  if (wish.rank > 0) return wish.rank;
  const std::vector<double> values(S.begin(), S.end());
  double total = 0;
  for (const double s : values) total += s * s;
  return least_rank(values, 0, allowed_energy(wish.rtol, std::sqrt(total), std::numeric_limits<T>::epsilon()));
}

std::string_view name(SvdDriver driver) {
  return driver == SvdDriver::gesdd ? "gesdd" : driver == SvdDriver::gesvd ? "gesvd" : "Jacobi";
}

}  // namespace

// A copy that LAPACK destroys, U, and V in two orders; gesdd's workspace of about four small squares.
template <Real T>
double exact_memory(const LinearOperator<T>& A) {
  const double m = static_cast<double>(std::max(A.rows(), A.cols())),
               n = static_cast<double>(std::min(A.rows(), A.cols()));
  return sizeof(T) * ((A.entries() ? 2 : 3) * m * n + 6 * n * n);
}

template <Real T>
MethodResult<T> exact_method(const LinearOperator<T>& A, const MethodInput& input) {
  if (input.options.progress) input.options.progress({"exact SVD", -1});
  const auto entries = A.entries();
  require_memory(exact_memory(A), fmt::format("the exact SVD of a {}x{} matrix", A.rows(), A.cols()), A.device());
  ThinSvd<T> full = entries ? thin_svd<T>(*entries) : thin_svd<T>(finite_dense(A));
  const Index r = rank_for(full.S, input.wish);
  MethodResult<T> result;
  ExactTail tail;
  for (std::size_t i = full.S.size(); i > static_cast<std::size_t>(r); --i) {
    tail.next = static_cast<double>(full.S[i - 1]);
    tail.norm = std::hypot(tail.norm, tail.next);
  }
  result.tail = tail;
  result.U = Matrix<T>::copy_of(full.U.left_cols(r));
  result.V = Matrix<T>::copy_of(full.V.left_cols(r));
  full.S.resize(static_cast<std::size_t>(r));
  result.S = std::move(full.S);
  result.products = 0;
  result.sweeps = 1;
  result.converged = true;
  if (full.driver != SvdDriver::gesdd)
    result.note = "gesdd did not converge; " + std::string(name(full.driver)) + " did";
  return result;
}

template double exact_memory(const LinearOperator<float>&);
template double exact_memory(const LinearOperator<double>&);
template MethodResult<float> exact_method(const LinearOperator<float>&, const MethodInput&);
template MethodResult<double> exact_method(const LinearOperator<double>&, const MethodInput&);

}  // namespace lowrank
