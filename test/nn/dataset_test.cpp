#include <lowrank/nn/storage.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

std::string big_endian_numbers(std::initializer_list<Index> numbers) {
  std::string text;
  for (const Index n : numbers)
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(n >> shift & 255);
  return text;
}

/// A folder with `count` images of 2x3 and labels.
void write(const TemporaryFolder& folder, const std::string& stem, Index count, Index label_count) {
  io_test::put(folder / (stem + "-images-idx3-ubyte"),
               big_endian_numbers({2051, count, 2, 3}) + std::string(static_cast<std::size_t>(6 * count), '\x40'));
  std::string text = big_endian_numbers({2049, label_count});
  for (Index i = 0; i < label_count; ++i) text += static_cast<char>(i % 3);
  io_test::put(folder / (stem + "-labels-idx1-ubyte"), text);
}

}  // namespace

TEST_CASE("a folder of IDX files is read, its classes counted and chosen") {
  TemporaryFolder folder;
  write(folder, "train", 7, 7);
  write(folder, "t10k", 2, 2);
  const Dataset data = Dataset::load(folder.path.string(), DataSplit::train);
  CHECK(data.size() == 7);
  CHECK(data.features() == 6);
  CHECK(Dataset::load(folder.path.string(), DataSplit::test).size() == 2);
  CHECK(data.class_counts() == std::vector<Index>{3, 2, 2, 0, 0, 0, 0, 0, 0, 0});
  CHECK(data.only({1}).members() == std::vector<std::int32_t>{1, 4});
  CHECK(data.only({2, 0}).members() == std::vector<std::int32_t>{0, 2, 3, 5, 6});
  CHECK(data.first(2).size() == 2);
  CHECK(data.digest() != data.first(6).digest());
  CHECK(has(message<Error>([&] { data.only({5}); }), "class 5 does not occur"));
  CHECK(has(message<std::invalid_argument>([&] { data.only({10}); }), "no class 10"));
}

TEST_CASE("pixels become the numbers torch makes of them, in the order asked for") {
  const Dataset data = dataset(20, 5, 4);
  const TrainingPrimitives<float>& device = host_device().training<float>();
  const std::vector<std::int32_t> order{9, 3, 17, 0};
  const TrainingClock clock{0, 1};
  Matrix<float> X(3, 25, Order::row_major);
  std::int32_t found[3];
  device.gather(data.images(), order.data(), &clock, X, found);
  for (Index i = 0; i < 3; ++i) {
    const std::int32_t image = order[static_cast<std::size_t>(i + 1)];
    CHECK(found[i] == image % 4);
    for (Index j = 0; j < 25; ++j)
      CHECK(X(i, j) == (static_cast<float>(data.images().pixels[image * 25 + j]) / 255.0F - 0.1307F) / 0.3081F);
  }
}

TEST_CASE("bad data folders are refused by name") {
  TemporaryFolder folder;
  const auto refused = [&] { return message<Error>([&] { Dataset::load(folder.path.string(), DataSplit::train); }); };
  CHECK(has(message<Error>([&] { Dataset::load(folder / "none", DataSplit::train); }), "no such folder"));
  CHECK(has(refused(), "train-images-idx3-ubyte.gz"));
  write(folder, "train", 7, 6);
  CHECK(has(refused(), "7 images"));
  write(folder, "train", 7, 7);
  std::filesystem::resize_file(folder / "train-images-idx3-ubyte", 30);
  CHECK(has(refused(), "truncated"));
  write(folder, "train", 7, 7);
  std::filesystem::copy_file(folder / "train-labels-idx1-ubyte", folder / "train-images-idx3-ubyte",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(has(refused(), "labels (magic 2049)"));
  write(folder, "train", 0, 0);
  CHECK(has(refused(), "no pixels"));
  write(folder, "train", 7, 7);
  CHECK(has(message<Error>([&] { Dataset::load(folder.path.string(), DataSplit::train, 2); }), "there are 2 classes"));
  CHECK_THROWS_AS(Dataset(images(5, 2, 2), labels(4, 2), 2), std::invalid_argument);
  CHECK_THROWS_AS(Dataset(images(5, 2, 2), labels(5, 4), 2), std::invalid_argument);
  IdxImages short_of_pixels = images(5, 2, 2);
  short_of_pixels.pixels.pop_back();
  CHECK_THROWS_AS(Dataset(short_of_pixels, labels(5, 2), 2), std::invalid_argument);
  IdxImages negative = images(5, 2, 2);
  negative.rows = negative.cols = -2;
  CHECK_THROWS_AS(Dataset(negative, labels(5, 2), 2), std::invalid_argument);
}
