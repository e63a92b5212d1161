#include "decompose.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "progress_bar.hpp"

namespace lowrank::tools {
namespace {

constexpr Index default_rank = 10;

SvdMethod method_of(const std::string& name) {
  if (name == "exact") return SvdMethod::exact;
  if (name == "krylov") return SvdMethod::krylov;
  return name == "randomized" ? SvdMethod::randomized : SvdMethod::automatic;
}

}  // namespace

void Decomposition::describe(Arguments& arguments) {
  arguments.positional("FILE", file, "the matrix");
  arguments.option("--rank", "K", rank, "keep K singular values");
  arguments.option("--energy", "E", energy, "keep as few as hold the part E of the squared norm, as 0.99");
  arguments.option("--rtol", "R", rtol, "keep as few as bring the relative error to R, as 1e-3");
  arguments.choice("--method", method, {"auto", "exact", "randomized", "krylov"}, "auto chooses, and says why");
  arguments.flag("--tf32", tf32, "f32 on a GPU: products in TF32 find the factors");
  arguments.option("--seed", "S", seed, "seed of the random numbers (default 0)");
  arguments.size("--memory", memory, memory_help);
}

void Decomposition::check() const {
  if (rank.has_value() + energy.has_value() + rtol.has_value() > 1)
    throw UsageError("--rank, --energy and --rtol exclude each other: give one");
  if (rank && *rank < 1) throw UsageError(fmt::format("--rank {}: a rank from 1 on is wanted", *rank));
  if (energy && !(*energy > 0 && *energy <= 1))
    throw UsageError(fmt::format("--energy {}: a number above 0 and up to 1 is wanted", *energy));
  if (rtol && !(*rtol > 0 && *rtol < 1))
    throw UsageError(fmt::format("--rtol {}: a number between 0 and 1 is wanted", *rtol));
}

Truncation Decomposition::wish(const Input& input) const {
  const Index smaller = std::min(input.rows, input.cols);
  if (rank && *rank > smaller)
    throw UsageError(fmt::format("{}: --rank {} is above {}, the smaller side of {}", file, *rank, smaller,
                                 shape_text(input.rows, input.cols)));
  if (has_wish()) return {.rank = rank.value_or(0), .energy = energy.value_or(0), .rtol = rtol.value_or(0)};
  // An empty matrix has no rank to ask for.
  if (smaller == 0) return {.energy = 1};
  return {.rank = std::min(default_rank, smaller)};
}

template <Real T>
Svd<T> decompose(const CommandLine& command, const Decomposition& request, const Input& input,
                 const LinearOperator<T>& A) {
  ProgressBar bar(command.shows_progress());
  const Truncation wish = request.wish(input);
  const SvdOptions options{.method = method_of(request.method),
                           .tf32 = request.tf32,
                           .seed = request.seed,
                           .device = &command.device(),
                           .progress = bar.callback()};
  Svd<T> svd = guarded(input.path(), A, [&] { return truncated_svd<T>(A, wish, options); });
  bar.clear();
  if (input.in_blocks) svd.reason += "; read from the file block by block";
  if (!svd.converged) command.warn(fmt::format("{}: not converged: {}", input.path(), svd.reason));
  return svd;
}

template <Real T>
std::vector<double> cumulative_energy(const Svd<T>& svd) {
  // ‖A‖² = ‖S‖² + ‖E‖², E being orthogonal to what is kept.
  const double error = svd.certificate.relative_error, kept = 1 - std::min(1.0, error * error);
  if (svd.S.empty() || svd.S.front() == 0 || !(kept > 0)) return {};
  const double top = static_cast<double>(svd.S.front());
  std::vector<double> sums;
  double sum = 0;
  for (const T s : svd.S) sums.push_back(sum += (static_cast<double>(s) / top) * (static_cast<double>(s) / top));
  for (double& part : sums) part *= kept / sum;
  return sums;
}

template <Real T>
Json as_json(const CommandLine& command, const Svd<T>& svd, const Input& input) {
  const Certificate& certificate = svd.certificate;
  return {{"rank", svd.rank()},
          {"singular_values", std::vector<double>(svd.S.begin(), svd.S.end())},
          {"relative_error", certificate.relative_error},
          {"error_bound", certificate.error_bound},
          {"error_bound_probability", certificate.error_bound_probability},
          {"method", svd.method},
          {"reason", svd.reason},
          {"passes", svd.passes},
          {"converged", svd.converged},
          {"shape", {input.rows, input.cols}},
          {"dtype", input.dtype()},
          {"seconds", svd.seconds},
          {"device", command.device().name()},
          {"relative_error_method", certificate.relative_error_method},
          {"error_bound_method", certificate.error_bound_method},
          {"triplet_residual", certificate.triplet_residual},
          {"improvable", certificate.improvable}};
}

template <Real T>
std::vector<std::pair<std::string, std::string>> summary(const Svd<T>& svd) {
  const Certificate& c = svd.certificate;
  const double failure = 1 - c.error_bound_probability;
  const std::string sure = failure <= 0 ? "" : fmt::format(" with probability 1 - {:.0e}", failure);
  return {{"relative error",
           fmt::format("{}{} (Frobenius)", c.relative_error_method == "norms, bounded by rounding" ? "at most " : "",
                       number(c.relative_error, 4))},
          {"error bound", fmt::format("{} (spectral norm, absolute){}", number(c.error_bound, 4), sure)},
          {"method", fmt::format("{}: {}", svd.method, svd.reason)},
          {"passes", fmt::format("{} over the matrix", svd.passes)},
          {"converged", svd.converged ? "yes" : "no"},
          {"time", seconds_text(svd.seconds)}};
}

#define LOWRANK_INSTANTIATE(T)                                                                                 \
  template Svd<T> decompose(const CommandLine&, const Decomposition&, const Input&, const LinearOperator<T>&); \
  template std::vector<double> cumulative_energy(const Svd<T>&);                                               \
  template Json as_json(const CommandLine&, const Svd<T>&, const Input&);                                      \
  template std::vector<std::pair<std::string, std::string>> summary(const Svd<T>&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank::tools
