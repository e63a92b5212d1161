#include <lowrank/io/idx.hpp>
#include <lowrank/io/load.hpp>

#include "io/files.hpp"
#include "skip.hpp"

using namespace io_test;

namespace {

void check_images_and_labels(const std::string& folder) {
  const std::string names[] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
                               "t10k-labels-idx1-ubyte.gz"};
  for (int part = 0; part < 2; ++part) {
    const std::string images_path = folder + "/" + names[2 * part], labels_path = folder + "/" + names[2 * part + 1];
    const IdxImages images = load_idx_images(images_path);
    const auto labels = load_idx_labels(labels_path, 10);
    CHECK(images.count == (part == 0 ? 60000 : 10000));
    CHECK(images.rows == 28);
    CHECK(images.cols == 28);
    check_idx_pair(images_path, images, labels_path, labels);
    CHECK(has(message([&] { load_idx_images(labels_path); }),
              "images (magic 2051) are due, but the file holds labels (magic 2049)"));
  }
}

}  // namespace

TEST_CASE("idx: images and labels, packed or not") {
  for (const std::string ending : {"", ".gz"}) {
    const IdxImages images = load_idx_images(data("io_images.idx" + ending));
    CHECK(images.count == 3);
    CHECK(images.rows == 2);
    CHECK(images.cols == 2);
    REQUIRE(images.pixels.size() == 12);
    CHECK(images.pixels[11] == 11);
    const auto labels = load_idx_labels(data("io_labels.idx" + ending));
    CHECK(labels == std::vector<std::uint8_t>{7, 0, 9});
    CHECK(message([&] { check_idx_pair("i", images, "l", labels); }) == "");
  }
}

TEST_CASE("idx: refusals") {
  const std::string images = contents(data("io_images.idx")), labels = contents(data("io_labels.idx"));
  const auto refusal = [](const std::string& text) { return message([&] { read_idx_images(bytes(text)); }); };
  CHECK(refusal(labels) == "test-file: images (magic 2051) are due, but the file holds labels (magic 2049)");
  CHECK(message([&] { read_idx_labels(bytes(images)); }) ==
        "test-file: labels (magic 2049) are due, but the file holds images (magic 2051)");
  CHECK(has(refusal("abcdefgh"), "the file holds no IDX images or labels (magic 1633837924"));
  CHECK(has(refusal(images + "x"), "the file is too long: 12 bytes are due (3 x 2 x 2), but 13 follow"));
  CHECK(has(refusal(images.substr(0, images.size() - 1)), "the file is truncated: 12 bytes are due"));
  CHECK(has(refusal(images.substr(0, 15)), "15 bytes, fewer than the 16 of an IDX header"));
  std::string huge = images;
  for (std::size_t i = 4; i < 16; ++i) huge[i] = '\xff';
  CHECK(has(refusal(huge), "do not fit in 63 bits"));
  CHECK(message([&] { read_idx_labels(bytes(labels), 9); }) == "test-file: label 2 is 9, but there are 9 classes");
  const IdxImages three = read_idx_images(bytes(images));
  CHECK(message([&] { check_idx_pair("i", three, "l", {1, 2}); }) == "i holds 3 images, but l holds 2 labels");
}

TEST_CASE("idx: MNIST") {
  const std::string folder = SHARED_FOLDER "/data/mnist";
  if (!std::filesystem::exists(folder)) SKIP("shared/data/mnist is absent");
  check_images_and_labels(folder);
}

TEST_CASE("idx: Fashion-MNIST") {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) SKIP("the Debian package dataset-fashion-mnist is not installed");
  check_images_and_labels(folder);
}

TEST_CASE("idx: images are a matrix with an image a row") {
  const LoadedMatrix loaded = load_matrix(data("io_images.idx.gz"));
  CHECK(loaded.format == "idx");
  CHECK(loaded.rows() == 3);
  CHECK(loaded.cols() == 4);
  const auto& values = std::get<Matrix<float>>(loaded.content);
  CHECK(values(2, 3) == 11.0F);
  CHECK(values(1, 0) == 4.0F);
  CHECK(has(message([&] { load_matrix(data("io_labels.idx")); }), "the file holds labels"));
}
