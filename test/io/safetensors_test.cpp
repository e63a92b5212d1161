#include <cstring>
#include <limits>
#include <lowrank/io/half.hpp>
#include <lowrank/io/load.hpp>
#include <lowrank/io/safetensors.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

std::string safetensors_file(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\0');
}
std::string header_refusal(const std::string& header, std::size_t data_bytes) {
  return message([&] { SafetensorsFile(bytes(safetensors_file(header, data_bytes))); });
}

}  // namespace

TEST_CASE("safetensors: a file of the reference implementation") {
  const auto file = SafetensorsFile::open(data("io_tensors.safetensors"));
  CHECK(file.tensors().size() == 9);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "np"}, {"note", "two words"}});
  CHECK(is_the_matrix(std::get<Matrix<double>>(file.load("F64").values)));
  CHECK(is_the_matrix(std::get<Matrix<float>>(file.load("F32").values)));
  const DenseArray half = file.load("F16");
  CHECK(is_the_matrix(std::get<Matrix<float>>(half.values)));
  CHECK(half.notes == std::vector<std::string>{"F16 was converted to f32"});
  CHECK(std::get<Matrix<double>>(file.load("I64").values)(3, 2) == 11);
  CHECK(std::get<Matrix<double>>(file.load("BOOL").values)(0, 1) == 1);
  CHECK(std::get<Matrix<float>>(file.load("vector").values).rows() == 4);
  CHECK(std::get<Matrix<float>>(file.load("vector").values).cols() == 1);
  CHECK(std::get<Matrix<double>>(file.load("scalar").values)(0, 0) == 2.5);
  CHECK(std::get<Matrix<float>>(file.load("empty").values).cols() == 3);
  CHECK(is_the_matrix(file.matrix<float>("F64")));
  CHECK(is_the_matrix(file.matrix<double>("F16")));
  CHECK(has(message([&] { file.load("cube"); }), "io_tensors.safetensors:cube: the tensor has the shape (2, 2, 2)"));
  CHECK(has(message([&] { file.load("W"); }), "there is no tensor 'W'; there are: BOOL, F16, F32"));
  CHECK(has(message([&] { file.load(""); }), "the file holds 9 tensors; name one after a colon"));
}

TEST_CASE("safetensors: tensors named after a colon, large ones described") {
  const LoadedMatrix A = load_matrix(data("io_tensors.safetensors:F32"));
  CHECK(A.format == "safetensors");
  CHECK(A.dtype == "F32");
  CHECK(is_the_matrix(std::get<Matrix<float>>(A.content)));
  const LoadedMatrix place = load_matrix(data("io_tensors.safetensors:F64"), {.in_memory_limit = 95});
  const auto& layout = std::get<FileLayout<double>>(place.content);
  const std::string file = contents(layout.path);
  CHECK(read_number<double>(reinterpret_cast<const std::byte*>(file.data()) + layout.offset + 8) == entry(0, 1));
  const LoadedMatrix bf16 = load_matrix(data("io_bf16.safetensors"), {.in_memory_limit = 1});
  CHECK(is_the_matrix(std::get<Matrix<float>>(bf16.content)));
  CHECK(bf16.notes == std::vector<std::string>{"BF16 was converted to f32"});
}

TEST_CASE("safetensors: shards behind an index") {
  const std::string index = data("io_model.safetensors.index.json");
  CHECK(is_the_matrix(std::get<Matrix<float>>(load_matrix(index + ":W").content)));
  CHECK(has(message([&] { load_matrix(index); }), "the index names 2 tensors; name one after a colon"));
  CHECK(has(message([&] { load_matrix(index + ":V"); }), "there is no tensor 'V' in weight_map"));
  CHECK(has(message([&] { load_matrix(index + ":lost"); }), "io_missing.safetensors: cannot be opened: No such file"));
  const auto refused = [](const std::string& text) {
    return message([&] {
      std::string tensor = "W";
      find_shard(bytes(text), tensor);
    });
  };
  CHECK(has(refused("{\"weight_map\": {\"W\": \"../up.safetensors\"}}"),
            "'../up.safetensors' is no file beside the index"));
  CHECK(has(refused("{\"weight_map\": {\"W\": 3}}"), "the file of 'W' is no string"));
  CHECK(has(refused("{\"metadata\": {}}"), "there is no object weight_map"));
  CHECK(has(refused("{"), "test-file: parse error"));
}

TEST_CASE("safetensors: every refusal of the format") {
  const std::string one = R"({"W":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  CHECK(header_refusal(one, 24) == "");
  CHECK(header_refusal(one + "   ", 24) == "");
  CHECK(header_refusal("{}", 0) == "");
  CHECK(has(message([] { SafetensorsFile(bytes("1234567")); }), "the file has 7 bytes, fewer than the 8"));
  std::string huge = safetensors_file(one, 24);
  huge[4] = 1;
  CHECK(has(message([&] { SafetensorsFile(bytes(huge)); }), "is above the limit of 100000000"));
  CHECK(has(message([&] { SafetensorsFile(bytes(safetensors_file(one, 0).substr(0, 40))); }),
            "only 32 follow: the file is truncated"));
  CHECK(has(header_refusal(one, 23),
            "the tensors need 24 bytes of data, but 23 follow the header: the file is truncated"));
  CHECK(has(header_refusal(one, 25), "the file is too long"));
  CHECK(has(header_refusal(" " + one, 24), "does not begin with '{'"));
  CHECK(has(header_refusal(one + "x", 24), "parse error"));
  CHECK(has(header_refusal("{\"\xff\":1}", 0), "test-file: safetensors header: parse error"));
  CHECK(has(header_refusal("{\"W\":1}", 0), "'W' is not described by an object"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":[2,3]}})", 24), "'W' has no data_offsets"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F31","shape":[2,3],"data_offsets":[0,24]}})", 24),
            "the dtype 'F31' is unknown"));
  CHECK(has(header_refusal(R"({"W":{"dtype":32,"shape":[2,3],"data_offsets":[0,24]}})", 24), "dtype is no string"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":[2,-3],"data_offsets":[0,24]}})", 24),
            "shape holds '-3', which is no size"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":[2,3.0],"data_offsets":[0,24]}})", 24), "which is no size"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":6,"data_offsets":[0,24]}})", 24), "shape is no list"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":[2,3],"data_offsets":[0]}})", 24),
            "data_offsets has 1 numbers"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", 20),
            "tensor 'W': the shape (2, 3) of F32 needs 24 bytes, but data_offsets are [0, 20]"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F32","shape":[2,3],"data_offsets":[24,0]}})", 24),
            "data_offsets are [24, 0]"));
  CHECK(has(header_refusal(
                R"({"W":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,24]}})", 24),
            "does not fit in 63 bits"));
  CHECK(has(header_refusal(R"({"W":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1), "no whole number of bytes"));
  const std::string a = R"({"A":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)";
  CHECK(has(header_refusal(a + R"("B":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5),
            "tensor 'B' begins at 3, but the one before ends at 2: there is a hole"));
  CHECK(has(header_refusal(a + R"("B":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3), "there is an overlap"));
  CHECK(has(header_refusal(a + R"("A":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4),
            "the key 'A' is given twice"));
  CHECK(has(header_refusal(R"({"__metadata__":{"x":1}})", 0), "__metadata__: the value of 'x' is no string"));
  CHECK(has(header_refusal(R"({"__metadata__":[]})", 0), "__metadata__ is no object"));
  CHECK(has(header_refusal("{\"a\":" + std::string(1000, '['), 0), "nested more than 32 deep"));
}

TEST_CASE("safetensors: the writer sorts, pads and is read back") {
  const TemporaryFolder folder;
  const Matrix<float> A = the_matrix<float>(Order::col_major), v = the_matrix<float>(Order::col_major, 5, 1);
  const Matrix<double> D = the_matrix<double>(Order::row_major);
  const std::string raw = "abcdef";
  SafetensorsWriter writer;
  writer.add<float>("b", A);
  writer.add_vector<float>("a.bias", v);
  writer.add<double>("z", D);
  writer.add<double>("half", D, "F16");
  writer.add<float>("brain", A, "BF16");
  writer.add_bytes("raw", "I8", {2, 3}, std::as_bytes(std::span(raw)));
  writer.set_metadata("layers", "784, 10");
  const SafetensorsReport report = writer.write(folder / "A.safetensors");
  CHECK(report.overflowed == 0);
  const auto file = SafetensorsFile::open(folder / "A.safetensors");
  std::vector<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"z", "a.bias", "b", "brain", "half", "raw"});
  CHECK(read_number<std::uint64_t>(FileBytes::open(folder / "A.safetensors").data()) % 8 == 0);
  CHECK(is_the_matrix(file.matrix<float>("b")));
  CHECK(is_the_matrix(file.matrix<double>("z")));
  CHECK(is_the_matrix(file.matrix<float>("half")));
  CHECK(is_the_matrix(file.matrix<float>("brain")));
  CHECK(file.tensor("a.bias").shape == std::vector<Index>{5});
  CHECK(file.tensor("raw").dtype == "I8");
  CHECK(std::memcmp(file.bytes(file.tensor("raw")).data(), raw.data(), raw.size()) == 0);
  CHECK(file.metadata().at("layers") == "784, 10");
  // Carried through untouched.
  SafetensorsWriter again;
  for (const TensorInfo& tensor : file.tensors())
    again.add_bytes(tensor.name, tensor.dtype, tensor.shape, file.bytes(tensor));
  again.set_metadata("layers", "784, 10");
  again.write(folder / "B.safetensors");
  CHECK(contents(folder / "A.safetensors") == contents(folder / "B.safetensors"));
}

TEST_CASE("safetensors: what the writer refuses, and what it reports") {
  const TemporaryFolder folder;
  Matrix<double> A(1, 4);
  A(0, 0) = 65519, A(0, 1) = 65520, A(0, 2) = -1e39, A(0, 3) = std::numeric_limits<double>::infinity();
  SafetensorsWriter writer;
  writer.add<double>("half", A, "F16");
  writer.add<double>("single", A, "F32");
  CHECK(writer.write(folder / "A.safetensors").overflowed == 3);
  const auto half = SafetensorsFile::open(folder / "A.safetensors").matrix<double>("half");
  CHECK(half(0, 0) == 65504);
  CHECK(half(0, 1) == std::numeric_limits<double>::infinity());
  const auto refused = [&](auto call) { return message<std::invalid_argument>(call); };
  CHECK(has(refused([&] { writer.add<double>("half", A); }), "'half' is given twice"));
  CHECK(has(refused([&] { writer.add<double>("__metadata__", A); }), "'__metadata__' cannot name a tensor"));
  CHECK(has(refused([&] { writer.add<double>("", A); }), "cannot name a tensor"));
  CHECK(has(refused([&] { writer.add<double>("x", A, "I8"); }), "'I8' is none of F64"));
  CHECK(has(refused([&] { writer.add_vector<double>("x", Matrix<double>(2, 2)); }), "2x2 is no vector"));
  CHECK(has(refused([&] { writer.add_bytes("x", "F8", {1}, {}); }), "the dtype 'F8' is unknown"));
  CHECK(has(refused([&] { writer.add_bytes("x", "U8", {3}, {}); }), "needs 3 bytes, not 0"));
  writer.add<double>("\xff", A);
  CHECK(has(refused([&] { writer.write(folder / "B.safetensors"); }), "not in UTF-8"));
  CHECK(folder.count() == 1);
}

TEST_CASE("half types: every value survives, and rounding is to nearest, ties to even") {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    for (const bool brain : {false, true}) {
      const float value = brain ? bfloat16_to_float(pattern) : float16_to_float(pattern);
      const std::uint16_t back = round_to_half(static_cast<double>(value), brain ? bfloat16_format : float16_format);
      const bool same =
          std::isnan(value) ? std::isnan(brain ? bfloat16_to_float(back) : float16_to_float(back)) : back == pattern;
      if (!same) FAIL("bits " << bits << " become " << back);
    }
  }
  CHECK(float16_to_float(0x0001) == 0x1p-24f);
  CHECK(float16_to_float(0x3c00) == 1);
  CHECK(float16_to_float(0xfbff) == -65504);
  CHECK(round_to_half(1 + 0x1p-11, float16_format) == 0x3c00);
  CHECK(round_to_half(1 + 0x1p-11 + 0x1p-40, float16_format) == 0x3c01);
  CHECK(round_to_half(1 + 3 * 0x1p-11, float16_format) == 0x3c02);
  CHECK(round_to_half(0x1p-25, float16_format) == 0);
  CHECK(round_to_half(0x1.8p-25, float16_format) == 1);
  CHECK(round_to_half(-1e-300, float16_format) == 0x8000);
  CHECK(round_to_half(1 + 0x1p-8, bfloat16_format) == 0x3f80);
  CHECK(round_to_half(1 + 0x1p-8 + 0x1p-50, bfloat16_format) == 0x3f81);
  CHECK(round_to_half(1e300, bfloat16_format) == 0x7f80);
}

TEST_CASE("safetensors: a NUL does not end the header") {
  const std::string one = R"({"W":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  CHECK(has(header_refusal(one + std::string("\0 garbage", 9), 24),
            "test-file: safetensors header: there is a NUL character at byte " + std::to_string(one.size())));
  CHECK(has(header_refusal(std::string("{}\0", 3), 0), "NUL"));
}

TEST_CASE("safetensors: an index lists its tensors where one is wanted") {
  std::string map;
  for (int i = 10; i < 40; ++i) map += (map.empty() ? "\"w" : ", \"w") + std::to_string(i) + "\": \"a.safetensors\"";
  const FileBytes index = bytes("{\"weight_map\": {" + map + "}}");
  const auto refused = [&](std::string tensor) { return message([&] { find_shard(index, tensor); }); };
  CHECK(has(refused(""), "the index names 30 tensors; name one after a colon: w10, w11, "));
  CHECK(has(refused("V"), "there is no tensor 'V' in weight_map; there are: w10, w11, "));
  CHECK(has(refused("V"), ", w29 and 10 more"));
}
