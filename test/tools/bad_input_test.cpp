#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "run_command.hpp"

namespace {

/// Every subcommand that reads a matrix, with that matrix.
std::vector<std::vector<std::string>> readers(const std::string& file, const TestFolder& folder) {
  return {{"rank", file},
          {"svd", file, "--rank", "1", "-o", folder / "out.npz", "--plot", folder / "out.svg"},
          {"factor", file, "--rank", "1", "-o", folder / "out.safetensors"},
          {"verify", file, folder / "F.npz"}};
}

void check_all_refuse(const std::string& file, const TestFolder& folder, const std::vector<std::string>& words) {
  const std::vector<std::string> before = folder.names();
  for (const auto& call : readers(file, folder)) check_refused(call, 3, words);
  CHECK(folder.names() == before);
}

/// A folder with factors for 6x5 matrices in it.
struct Factored {
  TestFolder folder;
  std::string W = folder.write("W.npy", rank_two(6, 5));
  Factored() { REQUIRE(run({"factor", W, "--rank", "2", "-o", folder / "F.npz"}).status == 0); }
};

}  // namespace

TEST_CASE("bad input: missing, a folder, empty") {
  const Factored f;
  check_all_refuse(f.folder / "none.npy", f.folder, {"none.npy", "No such file"});
  check_refused({"info", f.folder / "none.npy"}, 3, {"none.npy"});
  check_refused({"rank", f.folder / "none.npy", "--json"}, 3, {"none.npy"});
  check_refused({"convert", f.folder / "none.npy", f.folder / "out.csv"}, 3, {"none.npy"});
  check_all_refuse(f.folder.path().string(), f.folder, {f.folder.path().string(), "folder"});
  check_all_refuse(f.folder.write("empty.npy", std::string()), f.folder, {"empty.npy", "empty"});
}

TEST_CASE("bad input: truncated files and lying headers") {
  const Factored f;
  const std::string whole = text_of(f.W);
  check_all_refuse(f.folder.write("cut.npy", whole.substr(0, whole.size() - 3)), f.folder, {"cut.npy", "bytes"});
  check_all_refuse(f.folder.write("head.npy", whole.substr(0, 40)), f.folder, {"head.npy", "truncated"});
  std::string lying = whole;
  lying.replace(lying.find("(6, 5)"), 6, "(9, 5)");
  check_all_refuse(f.folder.write("lying.npy", lying), f.folder, {"lying.npy", "bytes"});
  check_refused({"info", f.folder / "lying.npy"}, 3, {"lying.npy"});
  const std::string packed = text_of(f.folder / "F.npz");
  check_all_refuse(f.folder.write("cut.npz", packed.substr(0, packed.size() / 2)), f.folder, {"cut.npz"});
  check_all_refuse(f.folder.write("bad.safetensors", std::string("\x10\0\0\0\0\0\0\0{\"W\":", 13)), f.folder,
                   {"bad.safetensors"});
}

TEST_CASE("bad input: dtypes that hold no real numbers") {
  const Factored f;
  std::string complex = text_of(f.W);
  complex.replace(complex.find("<f8"), 3, "<c8");
  check_all_refuse(f.folder.write("complex.npy", complex), f.folder, {"complex.npy", "complex"});
}

TEST_CASE("bad input: NaN and Inf are told with their place, in memory and in blocks") {
  const Factored f;
  Eigen::MatrixXd W = rank_two(6, 5);
  W(3, 2) = NAN;
  check_all_refuse(f.folder.write("nan.npy", W), f.folder, {"nan.npy", "NaN", "row 3", "column 2"});
  check_refused({"rank", f.folder / "nan.npy", "--memory", "8", "--quiet"}, 3, {"nan.npy", "NaN", "row 3", "column 2"});
  W(3, 2) = -INFINITY;
  check_all_refuse(f.folder.write("inf.npy", W), f.folder, {"inf.npy", "Inf", "row 3", "column 2"});
  const std::string A =
      f.folder.write("A.mtx", std::string("%%MatrixMarket matrix coordinate real general\n6 5 2\n1 1 2\n3 2 nan\n"));
  check_all_refuse(A, f.folder, {"A.mtx", "NaN"});
}

TEST_CASE("bad input: text") {
  const Factored f;
  check_all_refuse(f.folder.write("ragged.csv", std::string("1,2\n3,4\n5\n")), f.folder, {"ragged.csv", "line 3"});
  check_all_refuse(f.folder.write("word.csv", std::string("1,2\n3,x\n")), f.folder, {"word.csv", "line 2", "x"});
  const std::string A =
      f.folder.write("A.mtx", std::string("%%MatrixMarket matrix coordinate real general\n6 5 1\n7 1 2\n"));
  check_all_refuse(A, f.folder, {"A.mtx", "line 3", "7"});
}

TEST_CASE("bad input: a member that is not there") {
  const Factored f;
  check_all_refuse((f.folder / "F.npz") + ":C", f.folder, {"F.npz", "C", "A", "B"});
  check_all_refuse(f.folder / "F.npz", f.folder, {"F.npz", "A", "B"});
}

TEST_CASE("bad output: folder missing, a folder itself") {
  const Factored f;
  const std::vector<std::string> before = f.folder.names();
  const std::string none = f.folder / "none/";
  check_refused({"gen", "--rows", "3", "--cols", "3", "-o", none + "o.npy"}, 3, {"none/o.npy", "No such file"});
  check_refused({"gen", "--rows", "3", "--cols", "3", "-o", none + "o.mtx"}, 3, {"none/o.mtx", "No such file"});
  check_refused({"svd", f.W, "-o", none + "o.npz"}, 3, {"none/o.npz"});
  check_refused({"svd", f.W, "--plot", none + "o.svg"}, 3, {"none/o.svg"});
  check_refused({"factor", f.W, "--rank", "1", "-o", none + "o.npz"}, 3, {"none/o.npz"});
  CHECK(f.folder.names() == before);
  std::filesystem::create_directory(f.folder.path() / "d.npz");
  check_refused({"svd", f.W, "-o", f.folder / "d.npz"}, 3, {"d.npz", "folder"});
  check_refused({"factor", f.W, "--rank", "1", "-o", f.folder / "d.npz"}, 3, {"d.npz", "folder"});
  check_refused({"convert", f.W, f.folder / "d.npz"}, 3, {"d.npz", "folder"});
}

TEST_CASE("bad output: a full disk") {
  const Factored f;
  // A name with the right ending for a device that is always full.
  for (const char* name : {"full.npy", "full.npz", "full.svg", "full.safetensors", "full.csv"})
    std::filesystem::create_symlink("/dev/full", f.folder.path() / name);
  const std::vector<std::string> before = f.folder.names();
  check_refused({"gen", "--rows", "3", "--cols", "3", "-o", f.folder / "full.npy"}, 3, {"full.npy", "No space left"});
  check_refused({"svd", f.W, "-o", f.folder / "full.npz"}, 3, {"full.npz", "No space left"});
  check_refused({"svd", f.W, "--plot", f.folder / "full.svg"}, 3, {"full.svg", "No space left"});
  check_refused({"factor", f.W, "--rank", "1", "-o", f.folder / "full.safetensors"}, 3,
                {"full.safetensors", "No space left"});
  check_refused({"convert", f.W, f.folder / "full.csv"}, 3, {"full.csv", "No space left"});
  CHECK(f.folder.names() == before);
}

TEST_CASE("bad output: more than disk or memory hold") {
  TestFolder folder;
  check_refused({"gen", "--rows", "10000000", "--cols", "10000000", "-o", folder / "o.npy"}, 3,
                {"o.npy", "727.6 TiB", "free"});
  check_refused({"gen", "--rows", "10000000", "--cols", "10000000", "-o", folder / "o.mtx"}, 3, {"o.mtx"});
  check_refused({"gen", "--rows", "4000000000", "--cols", "4000000000", "-o", folder / "o.npy"}, 3,
                {"o.npy", "63 bits"});
  CHECK(folder.names().empty());
}
