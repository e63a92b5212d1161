#include <lowrank/io/load.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

std::string load_refusal(const std::string& path) {
  return message([&] { load_matrix(path); });
}

}  // namespace

TEST_CASE("load: the content tells the format, whatever the name") {
  const TemporaryFolder folder;
  const std::pair<const char*, const char*> files[] = {{"io_f8_c.npy", "npy"},
                                                       {"io_one.npz", "npz"},
                                                       {"io_comma.csv", "csv"},
                                                       {"io_array.mtx", "matrix market"},
                                                       {"io_bf16.safetensors", "safetensors"}};
  for (const auto& [name, format] : files) {
    std::filesystem::copy_file(data(name), folder / format);
    CHECK(load_matrix(folder / format).format == format);
  }
}

TEST_CASE("load: a colon in the file's own name") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(data("io_stored.npz"), folder / "a:b.npz");
  std::filesystem::copy_file(data("io_f8_c.npy"), folder / "c:W");
  CHECK(load_matrix(folder / "a:b.npz:W").rows() == 4);
  CHECK(load_matrix(folder / "c:W").format == "npy");
  CHECK(has(load_refusal(folder / "a:b.npz:"), "no name follows the colon"));
}

TEST_CASE("load: what cannot be read at all") {
  const TemporaryFolder folder;
  put(folder / "empty.npy", "");
  CHECK(load_refusal(folder / "missing.npy") ==
        (folder / "missing.npy") + ": cannot be opened: No such file or directory");
  CHECK(load_refusal(folder / "missing.npz:W") ==
        (folder / "missing.npz:W") + ": cannot be opened: No such file or directory");
  CHECK(load_refusal(folder.path.string()) == folder.path.string() + ": is a folder, not a file");
  CHECK(load_refusal(folder / "empty.npy") == (folder / "empty.npy") + ": the file is empty");
  put(folder / "binary", std::string("\x01\x02\x00\x03", 4));
  CHECK(has(load_refusal(folder / "binary"), "the content is none of npy, npz, safetensors, Matrix Market and text"));
  put(folder / "fake.npy", "1,2\n");
  CHECK(has(load_refusal(folder / "fake.npy"), "fake.npy: the content is not what the ending says"));
  put(folder / "short.safetensors", "1234");
  CHECK(has(load_refusal(folder / "short.safetensors"), "the file has 4 bytes, fewer than the 8"));
  CHECK(has(load_refusal(data("io_f8_c.npy:W")), "a npy file holds one matrix without a name, so there is no 'W'"));
  CHECK(has(load_refusal(data("io_comma.csv:W")), "there is no 'W'"));
  CHECK(has(load_refusal(data("io_array.mtx:W")), "there is no 'W'"));
}

TEST_CASE("load: a matrix from a pipe") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  const std::string command = "mkfifo '" + pipe + "' && (cat '" + data("io_f8_c.npy") + "' > '" + pipe + "' &)";
  REQUIRE(std::system(command.c_str()) == 0);
  const LoadedMatrix A = load_matrix(pipe, {.in_memory_limit = 1});
  CHECK(is_the_matrix(std::get<Matrix<double>>(A.content)));
}
