#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <lowrank/core/sanitizers.hpp>

#include "run_command.hpp"
#include "skip.hpp"
#include "tools/command_path.hpp"

namespace {

const std::vector<std::string> subcommands{"gen", "info", "rank", "svd", "factor", "verify", "convert"};

}  // namespace

TEST_CASE("command: version and help") {
  const Outcome version = run({"--version"});
  CHECK(version.status == 0);
  CHECK(version.out.starts_with("lowrank "));
  CHECK(version.err.empty());
  const Outcome help = run({"--help"});
  CHECK(help.status == 0);
  for (const std::string& name : subcommands) CHECK(help.out.find("\n  " + name + " ") != std::string::npos);
}

TEST_CASE("command: each subcommand explains itself with examples") {
  for (const std::string& name : subcommands) {
    const Outcome help = run({name, "--help"});
    CAPTURE(name);
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    for (const char* word : {"Usage: lowrank ", "--json", "--quiet", "--threads N", "Examples:"})
      CHECK_MESSAGE(help.out.find(word) != std::string::npos, word);
    CHECK(help.out.find("\n  lowrank " + name + " ") != std::string::npos);
    // Help is given whatever else is missing or wrong.
    CHECK(run({name, "--nonsense", "-h"}).out == help.out);
  }
}

TEST_CASE("command: usage errors are one line that names the help") {
  const Outcome none = run({});
  CHECK(none.status == 2);
  CHECK(none.err == "lowrank: a subcommand is missing (see lowrank --help)\n");
  const Outcome unknown = run({"rnak", "W.npy"});
  CHECK(unknown.status == 2);
  CHECK(unknown.err == "lowrank: there is no subcommand or option 'rnak' (see lowrank --help)\n");
  for (const std::string& name : subcommands)
    check_refused({name, "a", "b", "--nonsense"}, 2, {"--nonsense", "see lowrank " + name + " --help"});
  check_refused({"rank"}, 2, {"FILE", "see lowrank rank --help"});
  check_refused({"rank", "a.npy", "b.npy"}, 2, {"b.npy"});
}

TEST_CASE("command: numbers that are none are refused") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  check_refused({"svd", W, "--rank", "12abc"}, 2, {"--rank", "12abc", "whole number"});
  check_refused({"svd", W, "--rank", "1.5"}, 2, {"--rank", "1.5"});
  check_refused({"svd", W, "--rank", "0x10"}, 2, {"--rank", "0x10"});
  check_refused({"svd", W, "--rank", ""}, 2, {"--rank"});
  check_refused({"svd", W, "--rank", "99999999999999999999"}, 2, {"--rank", "out of range"});
  check_refused({"svd", W, "--rank"}, 2, {"--rank"});
  check_refused({"svd", W, "--rank", "1", "--rank", "2"}, 2, {"--rank"});
  check_refused({"svd", W, "--energy", "much"}, 2, {"--energy", "much"});
  check_refused({"svd", W, "--energy", "nan"}, 2, {"--energy", "nan"});
  check_refused({"svd", W, "--seed", "-1"}, 2, {"--seed", "-1"});
  check_refused({"svd", W, "--method", "magic"}, 2, {"--method", "magic", "krylov"});
  check_refused({"svd", W, "--memory", "12parsecs"}, 2, {"--memory", "12parsecs", "MiB"});
  check_refused({"svd", W, "--memory", "0"}, 2, {"--memory"});
  check_refused({"rank", W, "--threads", "0"}, 2, {"--threads 0"});
  CHECK(run({"rank", W, "--threads=2"}).status == 0);
  CHECK(run({"svd", W, "--memory", "1.5GiB", "--rank", "1"}).status == 0);
}

TEST_CASE("command: a trivial command answers in under 20 ms") {
#ifdef LOWRANK_ADDRESS_SANITIZER
  SKIP("a sanitizer is built in, which takes longer to start");
#else
  // Other work on the machine can only add to a time, so the fastest start is the command's own.
  double fastest = run({"--version"}).seconds;
  for (int i = 0; i < 200 && fastest >= 0.020; ++i) fastest = std::min(fastest, run({"--version"}).seconds);
  CHECK(fastest < 0.020);
#endif
}

TEST_CASE("command: stdout that is full is an error, output files are there") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  const int full = open("/dev/full", O_WRONLY);
  REQUIRE(full >= 0);
  const Outcome outcome = Child({"factor", W, "--rank", "2", "-o", folder / "F.npz"}, full).wait();
  close(full);
  CHECK(outcome.status == 3);
  CHECK(outcome.err == "lowrank factor: standard output: cannot be written: No space left on device\n");
  CHECK(folder.names() == std::vector<std::string>{"F.npz", "W.npy"});
}

TEST_CASE("command: --quiet leaves stderr empty, notes are there without it") {
  TestFolder folder;
  const std::string W = folder.write("W.csv", std::string("a,b\n1,2\n3,5\n"));
  CHECK(run({"rank", W}).err.find("lowrank rank: note: ") == 0);
  CHECK(run({"rank", W, "--quiet"}).err.empty());
}

TEST_CASE("command: where stderr is closed or full, the work is done and the status is the same") {
  TestFolder folder;
  const std::string W = folder.write("W.csv", std::string("a,b\n1,2\n3,5\n"));
  for (const char* where : {" 2>&-", " 2>/dev/full", " 2>&- <&-"}) {
    CAPTURE(where);
    const std::string out = folder / "o.npy";
    CHECK(std::system((LOWRANK_COMMAND " convert " + W + " " + out + where + " >/dev/null").c_str()) == 0);
    CHECK(read(out).cols() == 2);
    CHECK(WEXITSTATUS(std::system((LOWRANK_COMMAND " rank " + (folder / "none.npy") + where).c_str())) == 3);
  }
}

TEST_CASE("command: a limit on the size of files is an error, and nothing is left") {
  TestFolder folder;
  const std::string call = LOWRANK_COMMAND " gen --rows 300 --cols 300 --quiet -o " + (folder / "x.npy");
  CHECK(WEXITSTATUS(std::system(("ulimit -f 100; " + call + " 2>/dev/null >/dev/null").c_str())) == 3);
  CHECK(folder.names().empty());
}
