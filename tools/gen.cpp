#include <fmt/core.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/named.hpp>
#include <lowrank/gen/spectrum.hpp>
#include <lowrank/io/npy.hpp>
#include <lowrank/io/save.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "progress_bar.hpp"
#include "report.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  std::optional<Index> rows, cols, rank;
  std::optional<std::string> spectrum, name, output;
  std::optional<double> noise;
  std::string dtype = "f64", rng = "philox";
  std::uint64_t seed = 0;
};

std::string description() {
  std::string text =
      "Makes a matrix of known rank or spectrum; a .npy is written block by block and may be larger than memory.\n"
      "Without --rank, --spectrum and --name: Gaussian entries.\n\nNamed matrices, i and j from 0:\n";
  for (const NamedInfo& each : named_matrices()) text += fmt::format("  {:<12} {}\n", each.name, each.description);
  text.pop_back();
  return text;
}

void describe(CommandLine& command, Request& request) {
  Arguments& arguments = command.arguments;
  arguments.option("--rows", "M", request.rows, "rows");
  arguments.option("--cols", "N", request.cols, "columns");
  arguments.option("--rank", "R", request.rank,
                   "the product of Gaussian M x R and R x N; with --spectrum: its first R");
  arguments.option(
      "--spectrum", "S", request.spectrum,
      "these singular values, with random vectors; i from 0:\nexp:Q 10^(-Q*i), poly:P (i+1)^(-P), step:R,LOW "
      "R ones, then LOW,\nstairs:LEN,RATIO, flat, file:S.npy");
  arguments.option("--name", "NAME", request.name, "one of the named matrices above");
  arguments.option("--noise", "X", request.noise, "add Gaussian noise with a spectral norm of about X to 2X");
  arguments.choice("--dtype", request.dtype, {"f32", "f64"}, "type of the entries (default f64)");
  arguments.option("--seed", "S", request.seed, "seed of the random numbers (default 0)");
  arguments.choice("--rng", request.rng, {"philox", "torch"}, "torch: the numbers that PyTorch's randn gives");
  arguments.option("-o,--output", "FILE", request.output, "the file; its ending chooses the format");
}

void check(const Request& request) {
  if (!request.rows || !request.cols) throw UsageError("--rows and --cols are needed");
  if (!request.output) throw UsageError("-o is needed: the file to write");
  if (*request.rows < 0) throw UsageError(fmt::format("--rows {}: a number from 0 on is wanted", *request.rows));
  if (*request.cols < 0) throw UsageError(fmt::format("--cols {}: a number from 0 on is wanted", *request.cols));
  const Index smaller = std::min(*request.rows, *request.cols);
  if (request.rank && (*request.rank < 1 || *request.rank > smaller))
    throw UsageError(fmt::format("--rank {}: a rank from 1 to {}, the smaller side of {}, is wanted", *request.rank,
                                 smaller, shape_text(*request.rows, *request.cols)));
  if (request.noise && !(*request.noise >= 0))
    throw UsageError(fmt::format("--noise {}: a number from 0 on is wanted", *request.noise));
  check_matrix_ending(*request.output);
}

std::vector<double> read_spectrum(const CommandLine& command, const std::string& path, Index most) {
  const Matrix<double> values = load_dense<double>(command, path);
  if (values.rows() != 1 && values.cols() != 1)
    throw Error(fmt::format("{}: a vector of singular values is wanted, not {}", path,
                            shape_text(values.rows(), values.cols())));
  if (values.size() > most)
    throw Error(fmt::format("{}: {} singular values, and the matrix has {}", path, values.size(), most));
  std::vector<double> sigma(values.data(), values.data() + values.size());
  for (std::size_t i = 0; i < sigma.size(); ++i)
    if (!(sigma[i] >= 0) || std::isinf(sigma[i]))
      throw Error(fmt::format("{}: entry {} (counted from 0) is {}, no singular value", path, i, sigma[i]));
  return sigma;
}

GenerateOptions options_of(const CommandLine& command, const Request& request) {
  GenerateOptions options{.rows = *request.rows, .cols = *request.cols};
  const Index smaller = std::min(options.rows, options.cols);
  options.rank = request.rank;
  if (request.spectrum) {
    const auto file = spectrum_file(*request.spectrum);
    options.sigma = file ? read_spectrum(command, std::string(*file), smaller) : spectrum(*request.spectrum, smaller);
  }
  options.name = request.name.value_or("");
  options.noise = request.noise.value_or(0);
  options.seed = request.seed;
  options.rng = request.rng == "torch" ? Rng::torch : Rng::philox;
  return options;
}

/// Throws Error when the disk has less than that free. Devices and pipes have no room to ask about, and how long a text
/// will be is not known.
void check_space(const std::string& path, Index bytes) {
  if (!path.ends_with(".npy") && !path.ends_with(".npz") && !path.ends_with(".safetensors")) return;
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) return;
  const std::string folder = std::filesystem::absolute(path, error).parent_path().string();
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) != 0) return;
  const double free = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
  if (static_cast<double>(bytes) > free)
    throw Error(fmt::format("{}: {} are needed and {} are free in {}", path, size_text(bytes),
                            size_text(static_cast<Index>(free)), folder));
}

/// Block by block: the matrix is never in memory as a whole.
template <Real T>
void write_npy(const std::string& path, const GenerateOptions& options, ProgressBar& bar) {
  NpyWriter<T> writer(path, options.rows, options.cols);
  MatrixSource<T> source(options);
  while (source.next_row() < source.rows()) {
    writer.append(source.next());
    bar.show({"writing", static_cast<double>(source.next_row()) / static_cast<double>(source.rows())});
  }
  writer.commit();
}

template <Real T>
void write(const std::string& path, GenerateOptions options, bool shows_progress) {
  ProgressBar bar(shows_progress);
  options.progress = bar.callback();
  check_space(path, checked_product(checked_product(options.rows, options.cols), sizeof(T)));
  if (path.ends_with(".npy")) return write_npy<T>(path, options, bar);
  const std::string file = path.substr(0, path.rfind(':'));
  check_output(file);
  check_replaced(path);
  const Matrix<T> values = generate<T>(options);
  save_matrix<T>(path, values.view());
}

Json as_json(const Request& request, double seconds) {
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"path", *request.output},
          {"shape", {*request.rows, *request.cols}},
          {"dtype", request.dtype},
          {"rank", or_null(request.rank)},
          {"spectrum", or_null(request.spectrum)},
          {"name", or_null(request.name)},
          {"noise", request.noise.value_or(0)},
          {"seed", request.seed},
          {"rng", request.rng},
          {"seconds", seconds}};
}

std::string as_text(const Request& request, double seconds) {
  std::string kind = "Gaussian";
  if (request.name)
    kind = *request.name;
  else if (request.spectrum)
    kind = "spectrum " + *request.spectrum + (request.rank ? fmt::format(" cut to rank {}", *request.rank) : "");
  else if (request.rank)
    kind = fmt::format("rank {}", *request.rank);
  if (request.noise.value_or(0) > 0) kind += fmt::format(" plus noise {}", number(*request.noise));
  return fmt::format("{}: {} {}, {}, seed {} ({}), {}\n", *request.output, shape_text(*request.rows, *request.cols),
                     request.dtype, kind, request.seed, request.rng, seconds_text(seconds));
}

}  // namespace

int gen_command(int argc, char** argv) {
  Request request;
  CommandLine command(
      "gen", description(),
      {{"lowrank gen --rows 4000 --cols 4000 --rank 100 -o W.npy", "a product of two Gaussian matrices"},
       {"lowrank gen --rows 1000 --cols 500 --spectrum exp:0.1 --noise 1e-6 -o W.npy",
        "exact singular values, and noise"},
       {"lowrank gen --rows 10 --cols 10 --rank 2 --dtype f32 --rng torch -o W.npy", "what PyTorch gives for seed 0"},
       {"lowrank gen --rows 90 --cols 90 --name kahan -o kahan.mtx", "a named matrix"}});
  describe(command, request);
  if (!command.parse(argc, argv)) return done;
  check(request);
  const auto start = std::chrono::steady_clock::now();
  const GenerateOptions options = options_of(command, request);
  try {
    if (request.dtype == "f32")
      write<float>(*request.output, options, command.shows_progress());
    else
      write<double>(*request.output, options, command.shows_progress());
  } catch (const Error& error) {
    throw Error(about(*request.output, error.what()));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print(command.json ? json_line(as_json(request, seconds)) : as_text(request, seconds));
  return done;
}

}  // namespace lowrank::tools
