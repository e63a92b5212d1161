#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <lowrank/io/atomic_file.hpp>
#include <lowrank/io/save.hpp>

#include "commands.hpp"
#include "decompose.hpp"
#include "plot.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  Decomposition decomposition;
  std::optional<std::string> output, plot;
};

template <Real T>
std::string singular_value_table(const Svd<T>& svd) {
  constexpr std::size_t most = 20;
  const std::vector<double> energy = cumulative_energy(svd);
  const std::size_t count = svd.S.size();
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < count; ++i) {
    if (count > most + 2 && i == most) {
      rows.push_back({"...", "", "", ""});
      i = count - 1;
    }
    const double s = static_cast<double>(svd.S[i]), top = static_cast<double>(svd.S.front());
    rows.push_back({std::to_string(i + 1), number(s, 7), top > 0 ? number(s / top, 4) : "-",
                    i < energy.size() ? fmt::format("{:.4f} %", 100 * energy[i]) : "-"});
  }
  return table({"i", "sigma", "of largest", "energy so far"}, rows);
}

template <Real T>
std::string as_text(const Svd<T>& svd, const Request& request, const Input& input) {
  std::string text = fmt::format("{} ({}, {}): {} {}\n", input.path(), shape_text(input.rows, input.cols),
                                 input.dtype(), request.decomposition.has_wish() ? "rank" : "leading", svd.rank());
  if (!svd.S.empty()) text += singular_value_table(svd);
  auto lines = summary(svd);
  if (request.output) lines.push_back({"written", *request.output + " (U, S, Vt)"});
  if (request.plot) lines.push_back({"plot", *request.plot});
  return text + fields(lines);
}

/// The singular values that were not kept, where all can be had for little more: values alone cost about a tenth of an
/// SVD.
template <Real T>
std::vector<double> discarded_values(const Svd<T>& svd, const LinearOperator<T>& A, const Input& input) {
  const double flops =
      static_cast<double>(A.rows()) * static_cast<double>(A.cols()) * static_cast<double>(std::min(A.rows(), A.cols()));
  constexpr double affordable = 4e9;
  if (A.rows() == 0 || A.cols() == 0 || input.in_blocks || (svd.method != "exact" && flops > affordable)) return {};
  const ThinSvd<T> all = thin_svd<T>(A.to_dense(), Vectors::none);
  return {all.S.begin() + std::min<std::ptrdiff_t>(svd.rank(), std::ssize(all.S)), all.S.end()};
}

template <Real T>
void write_plot(const std::string& path, const Svd<T>& svd, const LinearOperator<T>& A, const Input& input) {
  const SpectrumPlot plot{
      .title = fmt::format("{} ({}, {}): rank {}, relative error {}", input.path(), shape_text(A.rows(), A.cols()),
                           input.dtype(), svd.rank(), number(svd.certificate.relative_error, 3)),
      .kept = std::vector<double>(svd.S.begin(), svd.S.end()),
      .discarded = discarded_values(svd, A, input)};
  AtomicFile file(path);
  file.write(spectrum_svg(plot));
  file.commit();
}

template <Real T>
void write_factors(const std::string& path, const Svd<T>& svd) {
  const MatrixView<const T> S(svd.S.data(), svd.rank(), 1, std::max<Index>(1, svd.rank()));
  const std::array<NamedMatrix<T>, 3> tensors{NamedMatrix<T>{"U", svd.U.view()},
                                              NamedMatrix<T>{"S", S, ArrayShape::vector},
                                              NamedMatrix<T>{"Vt", svd.V.view().transposed()}};
  save_matrices<T>(path, tensors);
}

template <Real T>
std::string run(const CommandLine& command, const Request& request, const Input& input, const LinearOperator<T>& A) {
  const Svd<T> svd = decompose<T>(command, request.decomposition, input, A);
  if (request.output) write_factors(*request.output, svd);
  if (request.plot) write_plot(*request.plot, svd, A, input);
  return command.json ? json_line(as_json(command, svd, input)) : as_text(svd, request, input);
}

}  // namespace

int svd_command(int argc, char** argv) {
  Request request;
  CommandLine command(
      "svd",
      "The truncated SVD of a matrix, with a bound on its error. Without --rank, --energy or --rtol: the leading 10.",
      {{"lowrank svd W.npy --rank 20 -o W20.npz", "U, S and Vt of the 20 leading singular values"},
       {"lowrank svd W.npy --energy 0.99 --plot W.svg", "the least rank that keeps 99 % of the squared norm, drawn"},
       {"lowrank svd A.mtx.gz --rtol 1e-3 --json", "a sparse matrix to a relative error of 1e-3"}});
  request.decomposition.describe(command.arguments);
  command.offer_device();
  command.arguments.option("-o,--output", "OUT", request.output, "write U, S and Vt to a .npz or .safetensors");
  command.arguments.option("--plot", "P.svg", request.plot, "draw the singular values");
  if (!command.parse(argc, argv)) return done;
  request.decomposition.check();
  if (request.output) check_matrices_ending(*request.output);
  if (request.plot && !request.plot->ends_with(".svg"))
    throw UsageError(fmt::format("--plot {}: the name must end in .svg", *request.plot));
  const Input input = open_input(command, request.decomposition.file, request.decomposition.memory);
  static_cast<void>(request.decomposition.wish(input));
  for (const auto& path : {request.output, request.plot})
    if (path) check_output(*path);
  if (request.output) check_replaced(*request.output, {"U", "S", "Vt"});
  print(std::visit([&](const auto& A) { return run(command, request, input, *A); }, input.op));
  return done;
}

}  // namespace lowrank::tools
