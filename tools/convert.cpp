#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <lowrank/io/save.hpp>
#include <lowrank/op/sparse.hpp>

#include "commands.hpp"
#include "input.hpp"
#include "report.hpp"

namespace lowrank::tools {
namespace {

struct Request {
  std::string from, to;
  std::optional<std::string> dtype;
};

bool is_matrix_market(const std::string& path) { return path.ends_with(".mtx") || path.ends_with(".mtx.gz"); }
bool is_text(const std::string& path) {
  const std::string plain = path.ends_with(".gz") ? path.substr(0, path.size() - 3) : path;
  return plain.ends_with(".mtx") || plain.ends_with(".csv") || plain.ends_with(".tsv");
}

/// How many finite entries became Inf, and non-zero ones 0.
struct Losses {
  Index overflowed = 0, vanished = 0;
};

template <Real To, Real From>
To rounded(From value, Losses& losses) {
  const To result = static_cast<To>(value);
  losses.overflowed += std::isinf(result) && !std::isinf(value);
  losses.vanished += result == 0 && value != 0;
  return result;
}

template <Real To, Real From>
Matrix<To> cast(const Matrix<From>& from, Losses& losses) {
  Matrix<To> to(from.rows(), from.cols(), from.order());
  for (Index i = 0; i < from.size(); ++i) to.data()[i] = rounded<To>(from.data()[i], losses);
  return to;
}

template <Real To, Real From>
SparseMatrix<To> cast(const SparseMatrix<From>& from, Losses& losses) {
  SparseMatrix<To> to = from.template cast<To>();
  for (Index i = 0; i < from.nonZeros(); ++i) to.valuePtr()[i] = rounded<To>(from.valuePtr()[i], losses);
  return to;
}

template <Real T>
std::string write(const CommandLine&, const Request& request, const Matrix<T>& values) {
  save_matrix<T>(request.to, values.view());
  return std::string(dtype_name<T>());
}

template <Real T>
std::string write(const CommandLine& command, const Request& request, const SparseMatrix<T>& values) {
  if (is_matrix_market(request.to)) {
    save_matrix<T>(request.to, values);
    return std::string(dtype_name<T>());
  }
  command.note(fmt::format("{}: made dense, since only .mtx is sparse", request.to));
  return write<T>(command, request, SparseOperator<T>(values).to_dense());
}

template <Real To, class From>
std::string cast_and_write(const CommandLine& command, const Request& request, const From& from) {
  Losses losses;
  const auto to = cast<To>(from, losses);
  if (losses.overflowed > 0)
    command.warn(fmt::format("{}: {} entries are too large for f32 and became Inf", request.to, losses.overflowed));
  if (losses.vanished > 0)
    command.warn(fmt::format("{}: {} entries are too small for f32 and became 0", request.to, losses.vanished));
  return write<To>(command, request, to);
}

struct Writer {
  const CommandLine& command;
  const Request& request;

  template <class Content>
  requires requires { typename Content::Scalar; }
  std::string operator()(const Content& content) const {
    using T = typename Content::Scalar;
    if (request.dtype && *request.dtype != dtype_name<T>()) {
      if (*request.dtype == "f32") return cast_and_write<float>(command, request, content);
      return cast_and_write<double>(command, request, content);
    }
    return write<T>(command, request, content);
  }
  template <Real T>
  std::string operator()(const FileLayout<T>& layout) const {
    throw Error(fmt::format("{}: the file could not be mapped into memory", layout.path));
  }
};

}  // namespace

int convert_command(int argc, char** argv) {
  Request request;
  std::string dtype = "same";
  CommandLine command("convert", "Writes a matrix in another format, without loss unless --dtype narrows it.",
                      {{"lowrank convert data.csv data.npy", "text to NumPy's format"},
                       {"lowrank convert model.safetensors:layer.weight W.npy", "one tensor out of a file"},
                       {"lowrank convert W.npy layer.safetensors:layer.weight", "under a name of its own"},
                       {"lowrank convert A.npy A.mtx.gz", "a dense array in Matrix Market's format, packed"}});
  command.arguments.positional("IN", request.from, "the matrix");
  command.arguments.positional("OUT", request.to,
                               "the file to write (-o OUT, too); its ending chooses\nthe format; OUT:NAME names the "
                               "matrix in a .npz or\n.safetensors (default W)",
                               "-o,--output");
  command.arguments.choice("--dtype", dtype, {"same", "f32", "f64"}, "type of the entries (default: as they are)");
  if (!command.parse(argc, argv)) return done;
  if (dtype != "same") request.dtype = dtype;
  check_matrix_ending(request.to);
  check_replaced(request.to);
  // Mapped, not read, where the file allows it.
  const LoadedMatrix matrix = load_matrix(request.from, {.in_memory_limit = std::numeric_limits<Index>::max()});
  for (const std::string& note : matrix.notes) command.note(about(request.from, note));
  std::string written;
  try {
    written = std::visit(Writer{command, request}, matrix.content);
  } catch (const Error& error) {
    throw Error(about(request.to, error.what()));
  }
  if (is_text(request.to) && written == "f32")
    command.note(
        fmt::format("{}: text has no types: this will be read as f64, whose digits are those of f32", request.to));
  const bool sparse = std::holds_alternative<SparseMatrix<float>>(matrix.content) ||
                      std::holds_alternative<SparseMatrix<double>>(matrix.content);
  if (command.json) {
    print(json_line({{"path", request.to},
                     {"shape", {matrix.rows(), matrix.cols()}},
                     {"dtype", written},
                     {"sparse", sparse && is_matrix_market(request.to)}}));
  } else {
    print(fmt::format("{}: {}, {} (from {}, {})\n", request.to, shape_text(matrix.rows(), matrix.cols()), written,
                      matrix.path, matrix.dtype));
  }
  return done;
}

}  // namespace lowrank::tools
