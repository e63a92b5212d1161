#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>

#include <array>
#include <lowrank/core/environment.hpp>
#include <lowrank/core/error.hpp>
#include <new>
#include <string_view>

#include "command_line.hpp"
#include "commands.hpp"

namespace lowrank::tools {
namespace {

struct Subcommand {
  std::string_view name, summary;
  int (*run)(int argc, char** argv);
};

constexpr std::array subcommands{
    Subcommand{"gen", "make a matrix of known rank or spectrum", gen_command},
    Subcommand{"info", "say what a file holds", info_command},
    Subcommand{"rank", "the numerical rank of a matrix", rank_command},
    Subcommand{"svd", "the leading singular values and vectors", svd_command},
    Subcommand{"factor", "small factors B and A with B·A close to the matrix", factor_command},
    Subcommand{"verify", "whether B·A·x + b equals W·x + b", verify_command},
    Subcommand{"convert", "write a matrix in another format", convert_command},
    Subcommand{"train", "train a network on pictures", train_command},
    Subcommand{"eval", "the accuracy of a network, with adapters or without", eval_command},
    Subcommand{"lora", "low-rank adapters for a network: train, merge, info", lora_command},
    Subcommand{"devices", "what --device can name, and why a GPU cannot be used", devices_command},
};

std::string help() {
  std::string text =
      "Rank, truncated SVD and low-rank factors of matrices, with a bound on the error; networks with low-rank "
      "adapters.\n\n"
      "Usage: lowrank SUBCOMMAND ...\n\nSubcommands:\n";
  for (const Subcommand& each : subcommands) text += fmt::format("  {:<10}{}\n", each.name, each.summary);
  text +=
      "\nOptions:\n  --version   the version\n  -h, --help  this text\n\n"
      "Files: .npy, .npz, .safetensors, and .csv, .tsv, .mtx, these also with .gz; one of several matrices in a file\n"
      "is named after a colon, as in model.safetensors:layer.weight. Each subcommand has a help with examples:\n"
      "lowrank rank --help.\n"
      "Networks are .safetensors as torch's load_state_dict takes them, adapters are folders as PEFT has them.\n\n"
      "Exit status: 0 done; 1 a check failed (verify); 2 usage; 3 unusable input, output, memory or device.\n";
  return text;
}

int complain(std::string_view who, std::string_view what, int status) {
  to_stderr(fmt::format("{}: {}\n", who, one_line(what)));
  return status;
}

template <class Run>
int guarded(const std::string& who, Run&& run) {
  try {
    return run();
  } catch (const UsageError& error) {
    return complain(who, error.what(), usage);
  } catch (const std::invalid_argument& error) {
    return complain(who, error.what(), usage);
  } catch (const std::bad_alloc&) {
    return complain(who, "the memory does not suffice", unusable);
  } catch (const std::exception& error) {
    return complain(who, error.what(), unusable);
  }
}

int dispatch(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h" || first == "--version") {
    return guarded("lowrank", [&] {
      print(first == "--version" ? "lowrank " LOWRANK_VERSION "\n" : help());
      return done;
    });
  }
  for (const Subcommand& each : subcommands)
    if (each.name == first)
      return guarded(fmt::format("lowrank {}", first), [&] { return each.run(argc - 1, argv + 1); });
  if (first.empty()) return complain("lowrank", "a subcommand is missing (see lowrank --help)", usage);
  return complain("lowrank", fmt::format("there is no subcommand or option '{}' (see lowrank --help)", first), usage);
}

/// Where one of the three is closed a file would be opened in its place, and messages written into it. Writing to it
/// fails as before.
void hold_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (fcntl(descriptor, F_GETFD) < 0) static_cast<void>(open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY));
}

}  // namespace
}  // namespace lowrank::tools

int main(int argc, char** argv) {
  lowrank::tools::hold_standard_descriptors();
  // A reader that goes away is found when stdout is written, after output files are complete; a limit on the size of
  // files by the write that meets it.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  if (argc > 1 && argv[1][0] != '-') lowrank::restart_with_wanted_environment(argv);
  return lowrank::tools::dispatch(argc, argv);
}
