#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/op/compose.hpp>
#include <lowrank/op/entries.hpp>
#include <lowrank/op/moved.hpp>
#include <lowrank/svd/cost.hpp>
#include <lowrank/svd/methods.hpp>
#include <lowrank/svd/scaling.hpp>

namespace lowrank {
namespace {

/// The wish as a rank or an rtol, checked. All of the energy means all but what is rounding.
template <Real T>
Truncation checked_wish(Truncation wish, Index rows, Index cols) {
  const Index smaller = std::min(rows, cols);
  const int given = (wish.rank != 0) + (wish.energy != 0) + (wish.rtol != 0);
  if (given != 1)
    throw std::invalid_argument(
        fmt::format("truncated_svd: exactly one of rank, energy and rtol is to be given, not {}", given));
  if (wish.rank < 0)
    throw std::invalid_argument(fmt::format("truncated_svd: the rank must be positive, not {}", wish.rank));
  if (wish.rank > smaller)
    throw std::invalid_argument(
        fmt::format("truncated_svd: rank {} is beyond min(rows, cols) = {}", wish.rank, smaller));
  if (wish.energy != 0) {
    if (!(wish.energy > 0 && wish.energy <= 1))
      throw std::invalid_argument(fmt::format("truncated_svd: the energy must lie in (0, 1], not {}", wish.energy));
    const double rounding = static_cast<double>(std::max(rows, cols)) * std::numeric_limits<T>::epsilon();
    return {.rtol = std::max(std::sqrt(1 - wish.energy), std::min(rounding, 0.5))};
  }
  if (wish.rank == 0 && !(wish.rtol > 0 && wish.rtol < 1))
    throw std::invalid_argument(fmt::format("truncated_svd: rtol must lie in (0, 1), not {}", wish.rtol));
  return wish;
}

void check_options(const SvdOptions& options) {
  const auto refuse = [](std::string_view what, auto given) {
    throw std::invalid_argument(fmt::format("truncated_svd: {}, not {}", what, given));
  };
  if (!(options.excess > 0)) refuse("the excess must be positive", options.excess);
  if (options.max_products < 1) refuse("max_products must be positive", options.max_products);
  if (options.certificate.probes < 1) refuse("there must be probes", options.certificate.probes);
  const double failure = options.certificate.failure;
  if (!(failure > 0 && failure < 1)) refuse("the probability of failure must lie in (0, 1)", failure);
}

/// ‖A‖_F, which also finds NaN and Inf; for a wish that needs it from all entries where the operator cannot tell.
template <Real T>
std::optional<double> norm_for(const LinearOperator<T>& A, const Truncation& wish, Index& passes) {
  std::optional<double> norm = known_norm(A);
  if (!norm && wish.rank > 0) return norm;
  passes += 1;
  if (norm) return norm;
  require_memory(static_cast<double>(sizeof(T)) * static_cast<double>(A.rows()) * static_cast<double>(A.cols()),
                 fmt::format("the norm of the {} (a tolerance needs it, and it has no frobenius_norm(): all of its "
                             "{}x{} entries)",
                             A.kind(), A.rows(), A.cols()),
                 A.device());
  return finite_norm<T>(A.to_dense());
}

struct Choice {
  SvdMethod method;
  std::string reason;
};

std::string_view name(SvdMethod method) {
  switch (method) {
    case SvdMethod::exact:
      return "exact";
    case SvdMethod::krylov:
      return "krylov";
    default:
      return "randomized";
  }
}

/// The method that is expected to cost least, of those that serve.
template <Real T>
Choice choose(const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  const Index smaller = std::min(A.rows(), A.cols());
  constexpr Index small = 192;
  if (input.options.method != SvdMethod::automatic) return {input.options.method, "as asked"};
  if (smaller <= small) return {SvdMethod::exact, fmt::format("the smaller side is {}, not above {}", smaller, small)};
  const Index width = panel_width(input, limit);
  if (width > limit)
    return {SvdMethod::exact,
            fmt::format("a panel of {} columns is more than half of the smaller side {}", width, smaller)};
  const Cost cost = expected_cost(A, input, limit);
  std::vector<std::pair<double, SvdMethod>> methods{{cost.randomized, SvdMethod::randomized}};
  // Block Krylov needs the fewest columns, subspace iteration the fewest sweeps where two products are one. Without a
  // power step on the probes nothing would tell of what a narrow block has missed; and for a tolerance that ‖A‖² -
  // ‖QᵀA‖² cannot tell in float, the last Ritz values must.
  const bool checked = input.options.certificate.power != 0, told = input.wish.rank > 0 || input.wish.rtol >= 1e-2;
  if (!A.single_sweep_normal() && checked && told) methods.emplace_back(cost.krylov, SvdMethod::krylov);
  // A tolerance may need few columns or many; an operator without entries much memory.
  if (input.wish.rank > 0 && A.entries() && exact_memory(A) <= static_cast<double>(A.device().available_memory()))
    methods.emplace_back(cost.exact, SvdMethod::exact);
  std::sort(methods.begin(), methods.end());
  std::string others;
  for (std::size_t i = 1; i < methods.size(); ++i)
    others += fmt::format("{}{} {:.2g}", i > 1 ? ", " : "; ", name(methods[i].second), methods[i].first * 1e-9);
  return {methods.front().second, fmt::format("a panel of {} columns, expected to cost {:.2g} Gflop{}", width,
                                              methods.front().first * 1e-9, others)};
}

template <Real T>
MethodResult<T> run(SvdMethod method, const LinearOperator<T>& A, const MethodInput& input, Index limit) {
  switch (method) {
    case SvdMethod::exact:
      return exact_method(A, input);
    case SvdMethod::krylov:
      return krylov_method(A, input, limit);
    default:
      return randomized_method(A, input, limit);
  }
}

/// The documented sign: the entry of largest magnitude of each column of U is positive.
template <Real T>
void fix_signs(MethodResult<T>& m) {
  if (m.U.empty()) return;
  std::vector<double> signs;
  for (const Entry& largest : largest_in_columns<T>(m.U)) signs.push_back(largest.value < 0 ? -1 : 1);
  scale_columns<T>(m.U, signs);
  scale_columns<T>(m.V, signs);
  if (!m.residual.block.empty()) scale_columns<T>(m.residual.coefficients, signs);
}

template <Real T>
Certificate certificate_of(const LinearOperator<T>& A, const MethodResult<T>& m, double norm,
                           const SvdOptions& options) {
  const std::optional<double> known = norm >= 0 ? std::optional(norm) : std::nullopt;
  const std::unique_ptr<LinearOperator<float>> rounded =
      m.rounded && options.rounded_passes ? A.rounded(Rounding::to_float) : nullptr;
  if (m.exact_on_left)
    return certify<T>(A, m.U, m.S, m.V, known, m.tail, options.certificate, m.residual, rounded.get());
  const AdjointOperator<T> turned(A);
  if (!rounded) return certify<T>(turned, m.V, m.S, m.U, known, m.tail, options.certificate, m.residual);
  const AdjointOperator<float> rounded_turned(*rounded);
  return certify<T>(turned, m.V, m.S, m.U, known, m.tail, options.certificate, m.residual, &rounded_turned);
}

/// Keeps the leading `rank` triplets.
template <Real T>
void trim(MethodResult<T>& m, Index rank) {
  m.U = Matrix<T>::copy_of(m.U.left_cols(rank));
  m.V = Matrix<T>::copy_of(m.V.left_cols(rank));
  m.S.resize(static_cast<std::size_t>(rank));
  if (!m.residual.block.empty()) m.residual.coefficients = Matrix<T>::copy_of(m.residual.coefficients.left_cols(rank));
}

}  // namespace

namespace {

template <Real T>
void require_tf32(const Device& device) {
  if (std::is_same_v<T, double>)
    throw std::invalid_argument("TF32 is for matrices in float, and this one is in double");
  if (!multiplies_rounded<T>(device, Rounding::to_tf32))
    throw Error(fmt::format("TF32 was asked for, and {} has no such products: a GPU has", device.name()));
}

/// On options.device, and back.
template <Real T>
Svd<T> moved_truncated_svd(const LinearOperator<T>& original, Truncation asked, const SvdOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Moved<T> moved = moved_to(original, *options.device);
  SvdOptions there = options;
  there.device = nullptr;
  Svd<T> svd = truncated_svd<T>(*moved.op, asked, there);
  svd.U = svd.U.to(original.device());
  svd.V = svd.V.to(original.device());
  svd.reason += "; " + moved.note;
  svd.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return svd;
}

}  // namespace

template <Real T>
Svd<T> truncated_svd(const LinearOperator<T>& original, Truncation asked, const SvdOptions& options) {
  if (options.device != nullptr && options.device != &original.device())
    return moved_truncated_svd(original, asked, options);
  check_options(options);
  if (options.tf32) require_tf32<T>(original.device());
  const auto start = std::chrono::steady_clock::now();
  const Index smaller = std::min(original.rows(), original.cols());
  const Truncation wish = checked_wish<T>(asked, original.rows(), original.cols());
  Svd<T> svd;
  const auto clock = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };

  // 1. ‖A‖_F; from it a scale that keeps every product within range.
  const std::optional<double> norm = norm_for(original, wish, svd.passes);
  const double scale = norm ? safe_scale<T>(*norm) : 1;
  const ScaledOperator<T> scaled(scale, original);
  const LinearOperator<T>& A = scale == 1 ? original : scaled;
  const MethodInput input{wish, norm ? *norm * scale : -1, options};

  // 2. Nothing to do for an empty matrix, or a zero one of which a tolerance keeps nothing.
  MethodResult<T> m;
  std::string method;
  const Index limit = options.method == SvdMethod::automatic ? std::max<Index>(smaller / 2, 1) : smaller;
  if (smaller == 0 || (norm && *norm == 0 && wish.rank == 0)) {
    method = "exact";
    svd.reason = smaller == 0 ? "the matrix is empty" : "the matrix is zero";
    m.U = Matrix<T>(A.rows(), 0, A.device());
    m.V = Matrix<T>(A.cols(), 0, A.device());
    m.converged = true;
  } else {
    // 3. The method, and the exact one where a truncated method finds that too much is wanted of it.
    const Choice choice = choose(A, input, limit);
    m = run(choice.method, A, input, limit);
    method = name(choice.method);
    svd.reason = choice.reason;
    if (m.gave_up) {
      svd.reason += fmt::format("; the wish needs more than {} columns: decided by the exact SVD", limit);
      const Index sweeps = m.sweeps, products = m.products;
      m = exact_method(A, input);
      m.sweeps += sweeps, m.products += products;
      method = "exact";
    }
    fix_signs(m);
    if (!m.note.empty()) svd.reason += "; " + m.note;
    if (options.tf32 && method == "exact") svd.reason += "; no products in TF32";
  }

  // 4. The certificate on the factors as they are. A wish below what ‖A‖² - ‖QᵀA‖² can tell may be missed: then the
  // exact SVD.
  if (smaller > 0) svd.certificate = certificate_of(A, m, input.norm, options);
  const auto missed = [&] { return wish.rank == 0 && svd.certificate.relative_error > wish.rtol; };
  const auto again = [&](SvdMethod next, const MethodInput& with) {
    const Certificate before = svd.certificate;
    svd.passes += m.sweeps + before.passes;
    m = run(next, A, with, limit);
    if (m.gave_up) {
      svd.passes += m.sweeps;
      m = exact_method(A, input), next = SvdMethod::exact;
    }
    method = name(next);
    fix_signs(m);
    svd.certificate = certificate_of(A, m, input.norm, options);
    return before;
  };
  // What the probes see of a gain is about an eighth of it (measured on plateaus, where a basis stands still before it
  // is good enough); an error that is rounding has none. A narrow block misses copies of a multiple singular value for
  // good; subspace iteration does not.
  const double most_improvable = options.excess / 8;
  const double rounding = static_cast<double>(std::max(A.rows(), A.cols())) * std::numeric_limits<T>::epsilon();
  const auto improvable = [&] {
    const double share = svd.certificate.improvable;
    return share > most_improvable && std::sqrt(share) * svd.certificate.relative_error > rounding;
  };
  const bool as_asked = m.converged;
  SvdOptions stricter = options;
  const MethodInput strict_input{wish, input.norm, stricter};
  for (const SvdMethod next : {SvdMethod::krylov, SvdMethod::randomized, SvdMethod::randomized}) {
    if (!improvable() || method == "exact" || (method == "randomized" && next == SvdMethod::krylov)) continue;
    if (m.products >= options.max_products) break;
    stricter.excess /= 8;
    const double share = again(next, strict_input).improvable;
    svd.reason += fmt::format("; the probes found {:.2g} of the squared error in other triplets: {} instead", share,
                              method == "exact"    ? "the exact SVD"
                              : method == "krylov" ? "a larger Krylov basis"
                                                   : "subspace iteration");
  }
  // The rule as asked was satisfied before the probes objected, and now they do not: what the stricter one still wants
  // does not count.
  if (stricter.excess < options.excess && !improvable()) m.converged = m.converged || as_asked;
  constexpr int tightenings = 3;
  double rtol = wish.rtol;
  for (int i = 0; i < tightenings && missed() && method != "exact"; ++i) {
    rtol *= 0.95 * wish.rtol / svd.certificate.relative_error;
    if (method == "krylov") svd.reason += "; subspace iteration for what block Krylov missed";
    again(SvdMethod::randomized, {{.rtol = rtol}, input.norm, options});
  }
  if (missed() && method != "exact" && options.method == SvdMethod::automatic) {
    const double wanted = exact_memory(A), available = static_cast<double>(A.device().available_memory());
    if (wanted > available)
      svd.reason +=
          fmt::format("; the exact SVD, which may do better, needs {:.3g} GiB of memory and {:.3g} are available",
                      wanted * 0x1p-30, available * 0x1p-30);
    else
      svd.reason += fmt::format("; an error of {:.3g} missed the wish: decided by the exact SVD",
                                again(SvdMethod::exact, input).relative_error);
  }
  // What is left out was bounded from above; now that it has been measured, fewer triplets may do: each leaves out its
  // own square more.
  if (wish.rank == 0 && method != "exact" && !missed() && svd.certificate.relative_error_method == "residual") {
    const double error = svd.certificate.relative_error * input.norm, allowed = wish.rtol * input.norm;
    // With room for what the next measurement may add, by the norms where it is above 1024·eps.
    constexpr double eps = std::numeric_limits<T>::epsilon();
    const double square = allowed * allowed, all = input.norm * input.norm;
    const double room = square > 1024 * eps * all ? std::max(0.002 * square, 64 * eps * all) : 0.002 * square;
    const Index rank = least_rank(std::vector<double>(m.S.begin(), m.S.end()), error * error, square - room);
    if (rank < static_cast<Index>(m.S.size())) {
      svd.passes += svd.certificate.passes;
      trim(m, rank);
      svd.certificate = certificate_of(A, m, input.norm, options);
    }
  }
  svd.passes += m.sweeps + svd.certificate.passes;
  constexpr double most_defect = 0.1;
  const bool contradicts = svd.certificate.adjoint_defect > most_defect;
  if (contradicts)
    svd.reason += fmt::format("; products with A and with its adjoint contradict each other (by {:.2g})",
                              svd.certificate.adjoint_defect);
  svd.converged = m.converged && !missed() && !improvable() && !contradicts;
  if (missed())
    svd.reason +=
        fmt::format("; the error of {:.3g} misses the wish of {:.3g}{}", svd.certificate.relative_error, wish.rtol,
                    method == "exact" ? fmt::format(": beyond the precision of {}", dtype_name<T>()) : "");

  // 5. Back to the scale of the matrix.
  if (scale != 1) {
    constexpr double most = std::numeric_limits<T>::max();
    if (!m.S.empty() && !(static_cast<double>(m.S.front()) / scale <= most))
      throw Error(fmt::format("the largest singular value, {:.4g}, is beyond the range of {}: scale the matrix{}",
                              static_cast<double>(m.S.front()) / scale, dtype_name<T>(),
                              std::is_same_v<T, float> ? ", or convert it to f64" : ""));
    for (T& s : m.S) s = static_cast<T>(static_cast<double>(s) / scale);
    svd.certificate.error_bound /= scale;
    svd.certificate.triplet_residual /= scale;
    svd.reason += fmt::format("; computed on 2^{} A", std::ilogb(scale));
  }
  svd.U = std::move(m.U);
  svd.S = std::move(m.S);
  svd.V = std::move(m.V);
  svd.method = method;
  svd.products = m.products;
  svd.seconds = clock();
  return svd;
}

template Svd<float> truncated_svd(const LinearOperator<float>&, Truncation, const SvdOptions&);
template Svd<double> truncated_svd(const LinearOperator<double>&, Truncation, const SvdOptions&);

}  // namespace lowrank
