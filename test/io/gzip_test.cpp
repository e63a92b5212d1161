#include <lowrank/io/gzip.hpp>
#include <lowrank/io/load.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

std::string packed(const std::string& text) {
  const TemporaryFolder folder;
  TextFile file(folder / "x.gz");
  file.write(text);
  file.commit();
  return contents(folder / "x.gz");
}

std::string gzip_refusal(const std::string& text) {
  return message([&] { gunzip(bytes(text)); });
}

}  // namespace

TEST_CASE("gzip: packed text is read back, in one part or several") {
  std::string long_text;
  for (int i = 0; i < 200000; ++i) long_text += std::to_string(i * 7919 % 100003) + '\n';
  for (const std::string& text : {std::string("hello"), std::string(), long_text}) {
    const FileBytes back = gunzip(bytes(packed(text)));
    CHECK(back.text() == text);
  }
  CHECK(gunzip(bytes(packed("one,") + packed("two"))).text() == "one,two");
  CHECK(gunzip(bytes(packed("padded") + std::string(512, '\0'))).text() == "padded");
}

TEST_CASE("gzip: damage is found") {
  const std::string good = packed("some text that is long enough to be packed, packed, packed");
  for (std::size_t length = 2; length < good.size(); ++length)
    CHECK(has(gzip_refusal(good.substr(0, length)), "the compressed data end too early"));
  std::string crc = good, body = good;
  crc[good.size() - 6] ^= 1;
  CHECK(has(gzip_refusal(crc), "the compressed data are damaged at byte"));
  body[12] = '\xff';
  CHECK(gzip_refusal(body) != "");
  CHECK(has(gzip_refusal(good + std::string(3, '\0') + "t"), "4 bytes follow the compressed data at byte"));
  CHECK(has(gzip_refusal(good + "tail"), "4 bytes follow the compressed data at byte"));
  CHECK(has(message([&] { gunzip(bytes(packed(std::string(1000, 'x'))), 999); }),
            "unpacks to more than the 999 bytes that are due"));
  CHECK(has(gzip_refusal("\x1f\x8bnothing"), "damaged"));
}

TEST_CASE("gzip: what is inside is told by content, but only once") {
  const TemporaryFolder folder;
  put(folder / "table.csv.gz", packed("1,2\n3,4\n"));
  CHECK(load_matrix(folder / "table.csv.gz").format == "csv");
  put(folder / "unnamed", packed(contents(data("io_f8_c.npy"))));
  CHECK(is_the_matrix(std::get<Matrix<double>>(load_matrix(folder / "unnamed", {.in_memory_limit = 1}).content)));
  put(folder / "twice.gz", packed(packed("1,2\n")));
  CHECK(has(message([&] { load_matrix(folder / "twice.gz"); }), "packed by gzip twice"));
}
