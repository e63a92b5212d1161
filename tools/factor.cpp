#include <fmt/core.h>

#include <array>
#include <lowrank/factor/factor.hpp>
#include <lowrank/io/save.hpp>

#include "commands.hpp"
#include "decompose.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  Decomposition decomposition;
  std::string split = "us";
  std::optional<std::string> output;
};

template <Real T>
std::string as_text(const Svd<T>& svd, const Factors<T>& factors, const std::string& output, const Input& input) {
  std::string text = fmt::format(
      "{} ({}, {}) = B ({}) times A ({}), rank {}\n", input.path(), shape_text(input.rows, input.cols), input.dtype(),
      shape_text(factors.B.rows(), factors.B.cols()), shape_text(factors.A.rows(), factors.A.cols()), factors.rank());
  const double before = static_cast<double>(factors.parameters_before);
  const double after = static_cast<double>(factors.parameters_after);
  std::string parameters = fmt::format("{} -> {}", factors.parameters_before, factors.parameters_after);
  if (before > 0) parameters += fmt::format(" ({:.1f} %)", 100 * after / before);
  std::vector<std::pair<std::string, std::string>> lines{{"parameters", parameters}};
  for (auto& line : summary(svd)) lines.push_back(std::move(line));
  lines.push_back({"written", output + " (B, A)"});
  return text + fields(lines);
}

template <Real T>
std::string run(const CommandLine& command, const Request& request, const Input& input, const LinearOperator<T>& W) {
  const Svd<T> svd = decompose<T>(command, request.decomposition, input, W);
  const Factors<T> factors = make_factors<T>(svd, request.split == "sqrt" ? Split::sqrt : Split::us);
  const std::array<NamedMatrix<T>, 2> tensors{NamedMatrix<T>{"B", factors.B.view()},
                                              NamedMatrix<T>{"A", factors.A.view()}};
  save_matrices<T>(*request.output, tensors);
  if (factors.parameters_after >= factors.parameters_before && factors.rank() > 0)
    command.warn(fmt::format("{}: the factors have {} parameters, the matrix {}", input.path(),
                             factors.parameters_after, factors.parameters_before));
  if (!command.json) return as_text(svd, factors, *request.output, input);
  Json json = as_json(command, svd, input);
  json["parameters_before"] = factors.parameters_before;
  json["parameters_after"] = factors.parameters_after;
  json["split"] = request.split;
  return json_line(json);
}

}  // namespace

int factor_command(int argc, char** argv) {
  Request request;
  CommandLine command("factor", "Small factors B (m x r) and A (r x n) whose product is close to the matrix W.",
                      {{"lowrank factor W.npy --rank 2 -o W2.safetensors", "B = U·S, A = Vᵀ of the 2 leading triplets"},
                       {"lowrank factor W.npy --rtol 1e-2 -o W.npz", "the least rank with a relative error of 1 %"},
                       {"lowrank factor W.npy --energy 0.99 --split sqrt -o W.npz", "B = U·√S, A = √S·Vᵀ"}});
  request.decomposition.describe(command.arguments);
  command.offer_device();
  command.arguments.choice("--split", request.split, {"us", "sqrt"},
                           "where the singular values go: to B, or half to each\n(default us)");
  command.arguments.option("-o,--output", "OUT", request.output, "the .safetensors or .npz to write B and A to");
  if (!command.parse(argc, argv)) return done;
  request.decomposition.check();
  if (!request.decomposition.has_wish()) throw UsageError("one of --rank, --energy and --rtol is needed");
  if (!request.output) throw UsageError("-o is needed: a .safetensors or .npz to write B and A to");
  check_matrices_ending(*request.output);
  const Input input = open_input(command, request.decomposition.file, request.decomposition.memory);
  static_cast<void>(request.decomposition.wish(input));
  check_output(*request.output);
  check_replaced(*request.output, {"B", "A"});
  print(std::visit([&](const auto& W) { return run(command, request, input, *W); }, input.op));
  return done;
}

}  // namespace lowrank::tools
