#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <lowrank/io/atomic_file.hpp>

#include "io/files.hpp"
#include "skip.hpp"

using namespace io_test;

namespace {

/// Runs `body` in a child process and returns its wait status.
template <class Body>
int in_child(Body&& body) {
  std::cout.flush();
  std::fflush(stdout);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

std::string handler_mark;
void leave_mark(int) {
  const int file = ::open(handler_mark.c_str(), O_CREAT | O_WRONLY, 0600);
  ::close(file);
}

}  // namespace

TEST_CASE("atomic file: appears when it is committed, and not before") {
  const TemporaryFolder folder;
  const std::string path = folder / "out.bin";
  put(path, "old");
  const std::string large(1 << 20, 'x');
  {
    AtomicFile file(path);
    file.write("new ");
    file.write(large);
    file.write(std::string_view("end"));
    CHECK(file.position() == static_cast<Index>(large.size()) + 7);
    CHECK(contents(path) == "old");
    file.commit(Durability::on_disk);
    CHECK_THROWS_AS(file.write("more"), std::invalid_argument);
  }
  CHECK(contents(path) == "new " + large + "end");
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic file: without a commit nothing is left") {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "out.bin");
    file.write("half");
    CHECK(folder.count() == 1);
  }
  CHECK(folder.count() == 0);
}

TEST_CASE("atomic file: what a killed process of the same number has left is passed by") {
  const TemporaryFolder folder;
  // Names end in a counter: the next ones are taken.
  std::string first;
  {
    const AtomicFile file(folder / "out.bin");
    first = std::filesystem::directory_iterator(folder / "")->path().string();
  }
  const auto end = first.rfind('.'), begin = first.rfind('.', end - 1) + 1;
  const int number = std::stoi(first.substr(begin, end - begin));
  for (const int next : {1, 2}) put(first.substr(0, begin) + std::to_string(number + next) + ".tmp", "left");
  AtomicFile file(folder / "out.bin");
  file.write("whole");
  file.commit();
  CHECK(contents(folder / "out.bin") == "whole");
  CHECK(folder.count() == 3);
}

TEST_CASE("atomic file: keeps the mode of the file it replaces, and symbolic links") {
  const TemporaryFolder folder;
  put(folder / "real", "old");
  REQUIRE(::chmod((folder / "real").c_str(), 0640) == 0);
  std::filesystem::create_symlink("real", folder / "link");
  AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(contents(folder / "real") == "new");
  struct stat status {};
  REQUIRE(::stat((folder / "real").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("atomic file: what cannot be written is said at once") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "sub");
  put(folder / "plain", "x");
  CHECK(has(message([&] { AtomicFile(folder / "missing/out.npy"); }), "missing/out.npy: the output folder"));
  CHECK(has(message([&] { AtomicFile(folder / "missing/out.npy"); }), "No such file or directory"));
  CHECK(has(message([&] { AtomicFile(folder / "sub"); }), "sub: is a folder, so no file can be written there"));
  CHECK(has(message([&] { AtomicFile(folder / "plain/out.npy"); }), "plain is not a folder"));
  CHECK_THROWS_AS(AtomicFile(""), std::invalid_argument);
  CHECK(folder.count() == 2);
}

TEST_CASE("atomic file: a folder without permission") {
  if (::geteuid() == 0) SKIP("root may write everywhere");
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path.c_str(), 0500) == 0);
  CHECK(has(message([&] { AtomicFile(folder / "out.npy"); }), "Permission denied"));
  REQUIRE(::chmod(folder.path.c_str(), 0700) == 0);
}

TEST_CASE("atomic file: a full device is an error, and devices are written directly") {
  const auto write_to = [](const char* path, std::size_t bytes) {
    return message([&] {
      AtomicFile file(path);
      file.write(std::string(bytes, 'x'));
      file.commit();
    });
  };
  CHECK(write_to("/dev/null", 100) == "");
  CHECK(std::filesystem::is_character_file("/dev/null"));
  CHECK(write_to("/dev/full", 100) == "/dev/full: cannot be written: No space left on device");
  CHECK(write_to("/dev/full", 1 << 20) == "/dev/full: cannot be written: No space left on device");
}

TEST_CASE("atomic file: when the disk is full nothing is left") {
  const TemporaryFolder folder;
  // A limit on the size of files stands for the disk.
  const int status = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string what = message([&] {
      AtomicFile file(folder / "a");
      file.write(std::string(1 << 20, 'x'));
      file.commit();
    });
    ::_exit(what == (folder / "a") + ": cannot be written: File too large" ? 0 : 1);
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(folder.count() == 0);
}

TEST_CASE("atomic file: space that no disk has is refused beforehand") {
  const TemporaryFolder folder;
  CHECK(has(message([&] { AtomicFile(folder / "a").reserve(Index{1} << 62); }),
            "4611686018427387904 bytes cannot be written"));
  CHECK(folder.count() == 0);
}

TEST_CASE("atomic file: signals leave no temporary file, and kill as before") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    const TemporaryFolder folder;
    const int status = in_child([&] {
      ::signal(number, SIG_DFL);
      AtomicFile first(folder / "a"), second(folder / "b");
      first.write(std::string(1 << 20, 'x'));
      ::raise(number);
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == number);
    CHECK(folder.count() == 0);
  }
}

TEST_CASE("atomic file: a handler installed earlier is called") {
  const TemporaryFolder folder;
  handler_mark = folder / "mark";
  const int status = in_child([&] {
    ::signal(SIGTERM, leave_mark);
    std::string what;
    try {
      AtomicFile file(folder / "a");
      file.write("x");
      ::raise(SIGTERM);
      file.commit();
    } catch (const Error& error) {
      what = error.what();
    }
    ::_exit(what.find("the temporary file was removed (by a signal?)") != std::string::npos ? 0 : 1);
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(folder.count() == 1);
  CHECK(std::filesystem::exists(handler_mark));
}

TEST_CASE("atomic file: an ignored signal stays ignored") {
  const TemporaryFolder folder;
  const int status = in_child([&] {
    ::signal(SIGINT, SIG_IGN);
    AtomicFile file(folder / "a");
    file.write("x");
    ::raise(SIGINT);
    file.commit();
  });
  CHECK(WIFEXITED(status));
  CHECK(contents(folder / "a") == "x");
}

TEST_CASE("atomic file: exit() leaves no temporary file") {
  const TemporaryFolder folder;
  const int status = in_child([&] {
    static AtomicFile* file = new AtomicFile(folder / "a");
    file->write("x");
    std::exit(0);
  });
  // The status is not looked at: a leak checker may change it in a child that exits in the middle.
  CHECK(WIFEXITED(status));
  CHECK(folder.count() == 0);
}

TEST_CASE("atomic file: a signal in a forked child does not remove the parent's file") {
  const TemporaryFolder folder;
  const int status = in_child([&] {
    ::signal(SIGTERM, SIG_DFL);
    auto* file = new AtomicFile(folder / "a");
    file->write("x");
    const int grandchild = in_child([] { ::raise(SIGTERM); });
    const bool kept = WIFSIGNALED(grandchild) && folder.count() == 1;
    file->commit();
    ::_exit(kept ? 0 : 1);
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(contents(folder / "a") == "x");
}

// A piece of half the buffer or more was written at once, before the smaller ones that still waited in the buffer.
TEST_CASE("atomic file: pieces of every size stay in order") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string() + "/pieces";
  std::string wanted;
  AtomicFile file(path);
  char letter = 'a';
  for (const std::size_t size : {8, 100, 131073, 5, 200000, 262144, 1, 131072, 300000, 60000, 131080}) {
    const std::string piece(size, letter++);
    file.write(piece.data(), static_cast<Index>(piece.size()));
    wanted += piece;
  }
  file.commit();
  CHECK((contents(path) == wanted));
}

TEST_CASE("atomic file: a symbolic link to a file that is still to be made stays, a circle of links is refused") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "sub");
  std::filesystem::create_symlink("sub/next", folder / "link");
  std::filesystem::create_symlink("../made", folder / "sub/next");
  AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(std::filesystem::is_symlink(folder / "sub/next"));
  CHECK(contents(folder / "made") == "new");
  std::filesystem::create_symlink("b", folder / "a");
  std::filesystem::create_symlink("a", folder / "b");
  CHECK(has(message([&] { AtomicFile(folder / "a"); }), "a: Too many levels of symbolic links"));
  std::filesystem::create_symlink("none/c", folder / "c");
  CHECK(has(message([&] { AtomicFile(folder / "c"); }), "c: the output folder"));
  CHECK(std::filesystem::is_symlink(folder / "a"));
}

TEST_CASE("atomic file: a file that is complete has not appeared yet") {
  const TemporaryFolder folder;
  {
    AtomicFile first(folder / "a"), second(folder / "b");
    first.write("x");
    first.complete();
    CHECK_THROWS_AS(first.write("y"), std::invalid_argument);
    CHECK(!std::filesystem::exists(folder / "a"));
    second.complete();
    second.commit();
    CHECK_THROWS_AS(second.commit(), std::invalid_argument);
  }
  CHECK(contents(folder / "b") == "");
  CHECK(folder.count() == 1);
}
