#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <lowrank/io/npz.hpp>

#include "run_command.hpp"

TEST_CASE("convert: there and back through every format loses nothing") {
  TestFolder folder;
  const Eigen::MatrixXd W = rank_two(7, 5) * 0.1;
  const std::string start = folder.write("W.npy", W);
  std::string from = start;
  for (const char* name : {"1.csv", "2.tsv", "3.mtx", "4.mtx.gz", "5.npz", "6.safetensors", "7.npy"}) {
    const Outcome outcome = run({"convert", from, folder / name});
    CAPTURE(name);
    REQUIRE(outcome.status == 0);
    from = folder / name;
    CHECK(read(from) == W);
  }
  REQUIRE(run({"convert", "-o", folder / "8.tsv.gz", from}).status == 0);
  CHECK(read(folder / "8.tsv.gz") == W);
  check_refused({"convert", from, folder / "8.npy", "-o", folder / "9.npy"}, 2, {"OUT"});
  check_refused({"convert", from}, 2, {"OUT"});
}

TEST_CASE("convert: --dtype narrows, and what is lost is told") {
  TestFolder folder;
  Eigen::MatrixXd W = rank_two(4, 3);
  W(0, 0) = 1e300, W(1, 0) = 1e-300;
  const Outcome outcome = run({"convert", folder.write("W.npy", W), folder / "o.npy", "--dtype", "f32"});
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("1 entries are too large for f32") != std::string::npos);
  CHECK(outcome.err.find("1 entries are too small for f32") != std::string::npos);
  CHECK(run({"info", folder / "o.npy", "--json"}).json().at("dtype") == "<f4");
}

TEST_CASE("convert: sparse stays sparse in Matrix Market and is made dense elsewhere, with a note") {
  TestFolder folder;
  const std::string A =
      folder.write("A.mtx", std::string("%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n1 1 2\n3 1 -1.5\n"));
  CHECK(run({"convert", A, folder / "B.mtx.gz", "--json"}).json().at("sparse") == true);
  CHECK(run({"info", folder / "B.mtx.gz", "--json"}).json().at("nnz") == 3);
  const Outcome dense = run({"convert", A, folder / "D.npy"});
  CHECK(dense.err.find("made dense") != std::string::npos);
  CHECK(read(folder / "D.npy")(0, 2) == -1.5);
}

TEST_CASE("convert: bad names") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(4, 3));
  check_refused({"convert", W, folder / "W.docx"}, 2, {"W.docx", ".npy"});
  check_refused({"convert", W, folder / "none/W.csv"}, 3, {"none"});
  check_refused({"convert", W}, 2, {"OUT"});
  CHECK(folder.names() == std::vector<std::string>{"W.npy"});
}

TEST_CASE("info: what is in a dense file") {
  TestFolder folder;
  Eigen::MatrixXd W(2, 3);
  W << 3, 0, -4, 0, 0, 12;
  const auto json = run({"info", folder.write("W.npy", W), "--json"}).json();
  CHECK(json.at("shape") == nlohmann::json{2, 3});
  CHECK(json.at("format") == "npy");
  CHECK(json.at("dtype") == "<f8");
  CHECK(json.at("order") == "F");
  CHECK(json.at("frobenius_norm").get<double>() == doctest::Approx(13).epsilon(1e-14));
  CHECK(json.at("min") == -4.0);
  CHECK(json.at("max") == 12.0);
  CHECK(json.at("zeros") == 3);
  CHECK(json.at("nnz") == 3);
  CHECK(json.at("nan") == 0);
  W(0, 1) = NAN, W(1, 1) = INFINITY;
  const auto bad = run({"info", folder.write("W.npy", W), "--json"}).json();
  CHECK(bad.at("nan") == 1);
  CHECK(bad.at("inf") == 1);
  CHECK(bad.at("frobenius_norm").is_null());
  CHECK(bad.at("max").is_null());  // Inf is no JSON
  CHECK(bad.at("min") == -4.0);
  CHECK(run({"info", folder.write("empty.npy", Eigen::MatrixXd(0, 3)), "--json"}).json().at("min").is_null());
}

TEST_CASE("info: what is in a sparse file and in a container") {
  TestFolder folder;
  const std::string A =
      folder.write("A.mtx", std::string("%%MatrixMarket matrix coordinate real general\n4 5 2\n1 1 3\n4 5 4\n"));
  const auto sparse = run({"info", A, "--json"}).json();
  CHECK(sparse.at("sparse") == true);
  CHECK(sparse.at("nnz") == 2);
  CHECK(sparse.at("density") == 0.1);
  CHECK(sparse.at("min") == 0.0);
  CHECK(sparse.at("frobenius_norm") == 5.0);

  const std::string W = folder.write("W.npy", rank_two(6, 5));
  for (const char* name : {"F.npz", "F.safetensors"}) {
    REQUIRE(run({"factor", W, "--rank", "2", "-o", folder / name}).status == 0);
    const auto json = run({"info", folder / name, "--json"}).json();
    REQUIRE(json.at("members").size() == 2);
    for (const auto& member : json.at("members"))
      CHECK(member.at("shape") == (member.at("name") == "B" ? nlohmann::json{6, 2} : nlohmann::json{2, 5}));
    CHECK(run({"info", folder / name}).out.find("2 x 5") != std::string::npos);
    CHECK(run({"info", (folder / name) + ":B", "--json"}).json().at("shape") == nlohmann::json{6, 2});
  }
}

TEST_CASE("info: an array that cannot be read does not hide the others") {
  TestFolder folder;
  lowrank::NpzWriter writer(folder / "o.npz");
  const Eigen::MatrixXd W = rank_two(6, 5);
  writer.add<double>("W", W);
  writer.add<double>("Z", W);
  writer.commit();
  std::ifstream file(folder / "o.npz", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  // The second array is damaged: its checksum no longer fits.
  bytes[bytes.rfind("\x93NUMPY") + 140] ^= 1;
  folder.write("damaged.npz", bytes);
  const auto json = run({"info", folder / "damaged.npz", "--json"}).json();
  CHECK(json.at("members")[0].at("shape") == nlohmann::json{6, 5});
  CHECK(json.at("members")[1].at("shape").is_null());
  CHECK(json.at("members")[1].at("reason").get<std::string>().find("damaged.npz") != std::string::npos);
  CHECK(run({"info", folder / "damaged.npz"}).out.find("cannot be read") != std::string::npos);
}

TEST_CASE("convert, svd, factor, gen: a file that holds other matrices is not replaced") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  for (const char* name : {"F.npz", "F.safetensors"}) {
    const std::string F = folder / name;
    REQUIRE(run({"factor", W, "--rank", "2", "-o", F}).status == 0);
    const std::string before = text_of(F);
    check_refused({"convert", W, F + ":A"}, 3, {name, "1 other matrix", "lost: B"});
    check_refused({"convert", W, F}, 3, {name, "2 other matrices", "A", "B"});
    check_refused({"gen", "--rows", "3", "--cols", "3", "-o", F + ":new"}, 3, {name, "2 other matrices"});
    check_refused({"svd", W, "-o", F}, 3, {name, "2 other matrices"});
    CHECK(text_of(F) == before);
    CHECK(run({"factor", W, "--rank", "1", "-o", F}).status == 0);
    REQUIRE(run({"svd", W, "-o", folder / (std::string("S") + name)}).status == 0);
    check_refused({"factor", (folder / (std::string("S") + name)) + ":U", "--rank", "1", "-o",
                   folder / (std::string("S") + name)},
                  3, {"3 other matrices"});
  }
  CHECK(run({"convert", "--help"}).out.find("OUT:NAME") != std::string::npos);
}

TEST_CASE("info: a tensor that an index does not name") {
  TestFolder folder;
  const std::string index =
      folder.write("m.safetensors.index.json",
                   std::string("{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"x.safetensors\"}}"));
  check_refused({"info", index}, 3, {"m.safetensors.index.json", "2 tensors", "a, b"});
  check_refused({"info", index + ":c"}, 3, {"m.safetensors.index.json", "'c'", "a, b"});
}

TEST_CASE("gen, svd: a named pipe as output gives its reader the whole") {
  TestFolder folder;
  const std::string W = folder.write("W.npy", rank_two(6, 5));
  const auto through_pipe = [&](std::vector<std::string> arguments, const std::string& name) {
    const std::string pipe = folder / name, copy = folder / ("copy-" + name);
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    arguments.push_back(pipe);
    Child child(arguments);
    CHECK(std::system(("timeout 20 cat '" + pipe + "' > '" + copy + "'").c_str()) == 0);
    CHECK(child.wait().status == 0);
    return copy;
  };
  CHECK(read(through_pipe({"gen", "--rows", "5", "--cols", "4", "--name", "hilbert", "-o"}, "H.csv"))(2, 1) == 0.25);
  CHECK(read(through_pipe({"svd", W, "--rank", "2", "-o"}, "S.npz") + ":U").cols() == 2);
}
