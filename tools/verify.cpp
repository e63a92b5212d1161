#include <fmt/core.h>

#include <algorithm>
#include <lowrank/factor/factor.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "report.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  std::string file, factors;
  std::optional<std::string> bias, input;
  std::optional<double> rtol;
  std::uint64_t seed = 0;
  Index memory = default_memory;
};

/// A vector of `length` may stand as a row: a view of it as a column, or a matrix of that many rows as it is.
template <Real T>
MatrixView<const T> as_columns(const std::string& path, const Matrix<T>& values, Index length,
                               const std::string& needs) {
  if (values.rows() == length) return values.view();
  if (values.rows() == 1 && values.cols() == length) return values.view().transposed();
  throw Error(fmt::format("{}: the shape is {}, and {} needs {} rows", path, shape_text(values.rows(), values.cols()),
                          needs, length));
}

template <Real T>
void check_factors(const Request& request, const Input& W, const Matrix<T>& B, const Matrix<T>& A) {
  if (B.rows() == W.rows && A.cols() == W.cols && B.cols() == A.rows()) return;
  throw Error(fmt::format("{}: B ({}) times A ({}) does not fit {} ({})", request.factors,
                          shape_text(B.rows(), B.cols()), shape_text(A.rows(), A.cols()), W.path(),
                          shape_text(W.rows, W.cols)));
}

template <Real T>
std::string outputs_table(const Verification<T>& verification) {
  constexpr Index most = 10;
  std::vector<std::vector<std::string>> rows;
  const Index count = verification.y.cols() == 0 ? 0 : verification.y.rows();
  for (Index i = 0; i < std::min(most, count); ++i) {
    const double y = static_cast<double>(verification.y(i, 0)), z = static_cast<double>(verification.y_factored(i, 0));
    rows.push_back(
        {std::to_string(i), fmt::format("{:.6f}", y), fmt::format("{:.6f}", z), fmt::format("{:.1e}", z - y)});
  }
  if (count > most) rows.push_back({"...", "", "", ""});
  return table({"i", "W x + b", "B A x + b", "difference"}, rows);
}

template <Real T>
std::string as_text(const Verification<T>& verification, const Request& request) {
  const Index inputs = verification.y.cols();
  std::string text = outputs_table(verification);
  if (inputs > 1) text += fmt::format("  (the first of {} inputs)\n", inputs);
  text += fields(
      {{"max abs error", number(verification.max_abs_error, 4)},
       {"relative error",
        fmt::format("{} (tolerance {})", number(verification.relative_error, 4), number(verification.tolerance, 4))},
       {"b and x", fmt::format("{}, {}", request.bias ? *request.bias : "random",
                               request.input ? *request.input : fmt::format("random (seed {})", request.seed))}});
  if (!verification.note.empty()) text += fields({{"device", verification.note}});
  return text + (verification.equal ? "equal\n" : "NOT equal\n");
}

template <Real T>
Json as_json(const CommandLine& command, const Verification<T>& verification, const Matrix<T>& B, const Input& W) {
  return {{"equal", verification.equal},
          {"max_abs_error", verification.max_abs_error},
          {"relative_error", verification.relative_error},
          {"tolerance", verification.tolerance},
          {"seconds", verification.seconds},
          {"inputs", verification.y.cols()},
          {"rank", B.cols()},
          {"shape", {W.rows, W.cols}},
          {"dtype", W.dtype()},
          {"device", command.device().name()}};
}

/// NaN and Inf in an argument are told by its own name.
template <Real T>
void check_finite(const std::string& path, const Matrix<T>& values) {
  static_cast<void>(
      guarded(path, DenseOperator<T>(values.view()), [&] { return DenseOperator<T>(values.view()).frobenius_norm(); }));
}

template <Real T>
Matrix<T> load_finite(const CommandLine& command, const std::string& path) {
  Matrix<T> values = load_dense<T>(command, path);
  check_finite(path, values);
  return values;
}

template <Real T>
int run(const CommandLine& command, const Request& request, const Input& input, const LinearOperator<T>& W) {
  const Matrix<T> B = load_finite<T>(command, request.factors + ":B");
  const Matrix<T> A = load_finite<T>(command, request.factors + ":A");
  check_factors(request, input, B, A);
  VerifyOptions<T> options{.rtol = request.rtol.value_or(-1), .seed = request.seed, .device = &command.device()};
  Matrix<T> bias, x;
  if (request.bias) {
    bias = load_finite<T>(command, *request.bias);
    options.bias = as_columns(*request.bias, bias, input.rows, "the bias");
    if (options.bias->cols() != 1)
      throw Error(fmt::format("{}: the bias has {} columns, and one is wanted", *request.bias, options.bias->cols()));
  }
  if (request.input) {
    x = load_finite<T>(command, *request.input);
    options.input = as_columns(*request.input, x, input.cols, "the input x");
  }
  const Verification<T> verification = guarded(input.path(), W, [&] { return verify_factors<T>(W, B, A, options); });
  print(command.json ? json_line(as_json(command, verification, B, input)) : as_text(verification, request));
  return verification.equal ? done : check_failed;
}

}  // namespace

int verify_command(int argc, char** argv) {
  Request request;
  CommandLine command(
      "verify", "Whether B·(A·x) + b equals W·x + b. Exit status 0: equal, 1: not.",
      {{"lowrank verify W.npy W2.safetensors", "on random x and b"},
       {"lowrank verify W.npy W2.npz --bias b.npy --input x.npy", "on your own; x may have many columns"},
       {"lowrank verify W.npy W2.npz --rtol 1e-2 --json", "with a relative difference of 1 % allowed"}});
  command.arguments.positional("FILE", request.file, "the matrix W");
  command.arguments.positional("FACTORS", request.factors, "a .safetensors or .npz with B and A");
  command.arguments.option("--bias", "b.npy", request.bias, "b, one number a row of W (default: random)");
  command.arguments.option("--input", "x.npy", request.input, "x, one column or several (default: 10 random ones)");
  command.arguments.option("--rtol", "R", request.rtol,
                           "relative difference allowed (default 1e-5 for f32, 1e-10 for f64)");
  command.arguments.option("--seed", "S", request.seed, "seed of the random numbers (default 0)");
  command.arguments.size("--memory", request.memory, memory_help);
  command.offer_device();
  if (!command.parse(argc, argv)) return done;
  if (request.rtol && !(*request.rtol > 0))
    throw UsageError(fmt::format("--rtol {}: a positive number is wanted", *request.rtol));
  const Input input = open_input(command, request.file, request.memory);
  return std::visit([&](const auto& W) { return run(command, request, input, *W); }, input.op);
}

}  // namespace lowrank::tools
