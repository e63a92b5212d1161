#include <lowrank/io/load.hpp>
#include <lowrank/io/npz.hpp>

#include "io/files.hpp"
#include "skip.hpp"

using namespace io_test;

TEST_CASE("npz: stored and deflated members as NumPy writes them") {
  CHECK(is_the_matrix(std::get<Matrix<double>>(load_matrix(data("io_stored.npz:W")).content)));
  CHECK(is_the_matrix(std::get<Matrix<float>>(load_matrix(data("io_stored.npz:single")).content)));
  const LoadedMatrix deflated = load_matrix(data("io_deflated.npz:W"));
  CHECK(is_the_matrix(std::get<Matrix<double>>(deflated.content)));
  CHECK(std::get<Matrix<double>>(deflated.content).order() == Order::col_major);
  CHECK(deflated.format == "npz");
  CHECK(deflated.path == data("io_deflated.npz:W"));
  CHECK(load_matrix(data("io_deflated.npz:vector.npy")).cols() == 1);
  CHECK(is_the_matrix(std::get<Matrix<double>>(load_matrix(data("io_one.npz")).content)));
  const NpzFile file(FileBytes::open(data("io_stored.npz")));
  REQUIRE(file.members().size() == 2);
  CHECK(file.members()[0].name == "W");
}

TEST_CASE("npz: the transcript of the seed") {
  const std::string path = SHARED_FOLDER "/golden/svd_transcript.npz";
  if (!std::filesystem::exists(path)) SKIP("shared/golden is absent");
  CHECK(load_matrix(path + ":W").rows() == 10);
  CHECK(std::get<Matrix<float>>(load_matrix(path + ":bias").content).cols() == 1);
}

TEST_CASE("npz: names are asked for and listed") {
  CHECK(has(message([] { load_matrix(data("io_stored.npz")); }),
            "io_stored.npz: the archive holds 2 arrays; name one after a colon: W, single"));
  CHECK(has(message([] { load_matrix(data("io_stored.npz:V")); }), "there is no array 'V'; there are: W, single"));
}

TEST_CASE("npz: damage is found") {
  const std::string good = contents(data("io_stored.npz"));
  const auto load = [](const std::string& text) { return message([&] { NpzFile(bytes(text)).load("W"); }); };
  CHECK(load(good) == "");
  std::string flipped = good;
  flipped[flipped.find("NUMPY") + 150] ^= 1;
  CHECK(has(load(flipped), "test-file:W: the checksum is"));
  CHECK(has(load(good.substr(0, good.size() - 1)),
            "the directory at the end of the zip archive is missing: the file is truncated"));
  CHECK(has(load(good.substr(0, 100)), "truncated"));
  const auto central = good.find("PK\x01\x02");
  std::string encrypted = good, method = good, twice = good, size = good;
  encrypted[central + 8] |= 1;
  CHECK(has(load(encrypted), "is encrypted"));
  method[central + 10] = 14;
  CHECK(has(load(method), "packed by method 14 (lzma)"));
  size[central + 24] ^= 1;
  CHECK(has(load(size), "a stored member of"));
  const std::string deflated = contents(data("io_deflated.npz"));
  std::string bomb = deflated;
  bomb[bomb.find("PK\x01\x02") + 27] = 0x7f;
  CHECK(has(load(bomb), "cannot hold the"));
  std::string short_directory = good;
  short_directory[good.size() - 12] = 5;
  CHECK(has(load(short_directory), "the zip directory lists 2 members, but declares"));
}

TEST_CASE_TEMPLATE("npz: what is written is read back", T, float, double) {
  const TemporaryFolder folder;
  const Matrix<T> A = the_matrix<T>(Order::col_major), v = the_matrix<T>(Order::col_major, 5, 1);
  NpzWriter writer(folder / "A.npz");
  writer.add<T>("A", A);
  writer.add<T>("rows", A, Order::row_major);
  writer.add<T>("v", v, Order::row_major, 1);
  writer.add<T>("none", Matrix<T>(0, 3));
  CHECK(message<std::invalid_argument>([&] { writer.add<T>("A", A); }) == "NpzWriter: 'A' is given twice");
  CHECK(has(message<std::invalid_argument>([&] { writer.add<T>("B", A, Order::row_major, 1); }),
            "cannot have 1 dimensions"));
  writer.commit();
  const NpzFile file(FileBytes::open(folder / "A.npz"));
  CHECK(is_the_matrix(std::get<Matrix<T>>(file.load("A").values)));
  CHECK(is_the_matrix(std::get<Matrix<T>>(file.load("rows").values)));
  CHECK(std::get<Matrix<T>>(file.load("rows").values).order() == Order::row_major);
  CHECK(std::get<Matrix<T>>(file.load("v").values).rows() == 5);
  CHECK(std::get<Matrix<T>>(file.load("none").values).cols() == 3);
  CHECK(has(contents(folder / "A.npz"), "'shape': (5,)"));
}

TEST_CASE("npz: the zip64 records are read") {
  // The directory of a small archive, rewritten with all its sizes in a zip64 field, and zip64 end records.
  const std::string good = contents(data("io_one.npz"));
  const auto central = good.find("PK\x01\x02"), end = good.find("PK\x05\x06");
  std::string entry = good.substr(central, end - central);
  const auto u64 = [](std::uint64_t value) { return std::string(reinterpret_cast<const char*>(&value), 8); };
  const auto u32 = [](const std::string& text, std::size_t at) {
    return read_number<std::uint32_t>(reinterpret_cast<const std::byte*>(text.data() + at));
  };
  const std::string extra = std::string("\x01\x00\x18\x00", 4) + u64(u32(entry, 24)) + u64(u32(entry, 20)) + u64(0);
  const std::size_t name_length = static_cast<unsigned char>(entry[28]);
  for (const std::size_t at : {20, 24, 42}) entry.replace(at, 4, "\xff\xff\xff\xff");
  entry[30] = static_cast<char>(extra.size());
  entry[31] = 0;
  entry = entry.substr(0, 46 + name_length) + extra;
  std::string text = good.substr(0, central) + entry;
  const std::size_t end64 = text.size();
  text +=
      std::string("PK\x06\x06") + u64(44) + std::string(12, '\0') + u64(1) + u64(1) + u64(entry.size()) + u64(central);
  text += std::string("PK\x06\x07") + std::string(4, '\0') + u64(end64) + std::string("\x01\0\0\0", 4);
  text += std::string("PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0", 22);
  CHECK(is_the_matrix(std::get<Matrix<double>>(NpzFile(bytes(text)).load().values)));
}
