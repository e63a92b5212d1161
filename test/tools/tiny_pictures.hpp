#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "run_command.hpp"

using Arguments = std::vector<std::string>;

inline std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

inline constexpr std::uint32_t side = 4, classes = 4;

/// Pictures of 4 x 4 pixels: class c (0 to 3) has a bright row c, over noise. Each split is written under its names.
inline void write_split(const TestFolder& folder, const std::string& stem, std::uint32_t count,
                        std::uint32_t noise_seed) {
  std::string images = big_endian(2051) + big_endian(count) + big_endian(side) + big_endian(side);
  std::string labels = big_endian(2049) + big_endian(count);
  std::uint32_t noise = noise_seed;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t label = i % classes;
    labels += static_cast<char>(label);
    for (std::uint32_t pixel = 0; pixel < side * side; ++pixel) {
      noise = noise * 1664525 + 1013904223;
      images += static_cast<char>((pixel / side == label ? 150 : 0) + (noise >> 24) % 100);
    }
  }
  folder.write(stem + "-images-idx3-ubyte", images);
  folder.write(stem + "-labels-idx1-ubyte", labels);
}

inline std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Tiny data of 60 and 40 pictures, and a folder for the results.
struct Workshop {
  TestFolder data, out;
  Workshop() {
    write_split(data, "train", 60, 1);
    write_split(data, "t10k", 40, 2);
  }

  std::string operator/(const std::string& name) const { return out / name; }
  std::string folder() const { return data.path().string(); }
  Arguments train(const std::string& name, const Arguments& more = {}) const {
    Arguments all{"train", "--data", folder(), "--hidden", "8,5", "-o", out / name};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Arguments lora(const std::string& model, const std::string& name, const Arguments& more = {}) const {
    Arguments all{"lora", "train", out / model, "--data", folder(), "-o", out / name};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string trained() const {
    REQUIRE(run(train("base.safetensors", {"--epochs", "40", "--lr", "1e-2"})).status == 0);
    return out / "base.safetensors";
  }
};

inline nlohmann::json json_of(Arguments arguments) {
  arguments.push_back("--json");
  const Outcome outcome = run(arguments);
  CAPTURE(outcome.err);
  REQUIRE(outcome.status == 0);
  return outcome.json();
}
