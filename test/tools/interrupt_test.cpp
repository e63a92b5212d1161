#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "run_command.hpp"

namespace {

/// Ends the child by the signal `number` as soon as a new file is in the folder.
Outcome interrupt_when_writing(Child& child, const TestFolder& folder, int number) {
  using namespace std::chrono_literals;
  const std::size_t before = folder.names().size();
  for (int i = 0; i < 30000 && folder.names().size() == before; ++i) std::this_thread::sleep_for(1ms);
  kill(child.id(), number);
  return child.wait();
}

}  // namespace

TEST_CASE("interrupt: gen leaves no file") {
  for (const int number : {SIGINT, SIGTERM}) {
    TestFolder folder;
    Child child({"gen", "--rows", "400000", "--cols", "100", "-o", folder / "o.npy"});
    const Outcome outcome = interrupt_when_writing(child, folder, number);
    CHECK(outcome.status == -number);
    CHECK(folder.names().empty());
  }
}

TEST_CASE("interrupt: convert leaves the old file as it was") {
  TestFolder folder;
  REQUIRE(run({"gen", "--rows", "3000", "--cols", "1000", "-o", folder / "W.npy"}).status == 0);
  folder.write("o.csv", std::string("1,2\n"));
  Child child({"convert", folder / "W.npy", folder / "o.csv"});
  const Outcome outcome = interrupt_when_writing(child, folder, SIGINT);
  CHECK(outcome.status == -SIGINT);
  CHECK(folder.names() == std::vector<std::string>{"W.npy", "o.csv"});
  CHECK(read(folder / "o.csv").rows() == 1);
}

TEST_CASE("interrupt: svd at work leaves nothing") {
  TestFolder folder;
  REQUIRE(run({"gen", "--rows", "2000", "--cols", "2000", "-o", folder / "W.npy"}).status == 0);
  Child child({"svd", folder / "W.npy", "--method", "exact", "--rank", "1500", "-o", folder / "o.npz"});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  kill(child.id(), SIGINT);
  CHECK(child.wait().status == -SIGINT);
  CHECK(folder.names() == std::vector<std::string>{"W.npy"});
}

TEST_CASE("interrupt: a reader that has gone ends the command quietly") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  const Outcome outcome = Child({"rank", W}, ends[1]).wait();
  close(ends[1]);
  CHECK(outcome.status == -SIGPIPE);
  CHECK(outcome.err.empty());
}
