#include <fmt/core.h>

#include <charconv>
#include <lowrank/core/error.hpp>
#include <lowrank/core/random.hpp>
#include <lowrank/nn/random_source.hpp>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace lowrank {
namespace {

/// Apart from the streams of test matrices made from the same seed.
constexpr std::uint64_t first_stream = std::uint64_t{0x6e6e} << 32;

}  // namespace

std::string_view name(RandomKind kind) { return kind == RandomKind::philox ? "philox" : "torch"; }

RandomKind random_kind(std::string_view text) {
  for (RandomKind kind : {RandomKind::philox, RandomKind::torch})
    if (text == name(kind)) return kind;
  throw std::invalid_argument(fmt::format("the random generator '{}' is neither philox nor torch", text));
}

void RandomSource::note(std::string_view what, Index size) {
  if (!draws_.empty() && draws_.back().what == what && draws_.back().size == size)
    ++draws_.back().times;
  else
    draws_.push_back({std::string(what), size, 1});
  ++stream_;
}

template <Real T>
void RandomSource::draw_uniform(std::span<T> values, T from, T to) {
  const Index count = static_cast<Index>(values.size());
  if (kind_ == RandomKind::torch) {
    torch_.uniform(values, from, to);
  } else {
    const Philox philox(seed_, first_stream + stream_);
    constexpr int bits = std::is_same_v<T, float> ? 24 : 53;
    const T unit = T(1) / static_cast<T>(std::uint64_t{1} << bits);
#pragma omp parallel for schedule(static)
    for (Index i = 0; i < count; ++i)
      values[static_cast<std::size_t>(i)] =
          static_cast<T>(philox.word(static_cast<std::uint64_t>(i)) >> (64 - bits)) * unit * (to - from) + from;
  }
  note(std::is_same_v<T, float> ? "uf" : "ud", count);
}

template <Real T>
void RandomSource::draw_normal(std::span<T> values) {
  const Index count = static_cast<Index>(values.size());
  if (kind_ == RandomKind::torch) {
    torch_.normal(values);
  } else {
    const Philox philox(seed_, first_stream + stream_);
#pragma omp parallel for schedule(static)
    for (Index i = 0; i < count; i += 2) {
      const Philox::Pair pair = philox.normal_pair(static_cast<std::uint64_t>(i / 2), 0);
      values[static_cast<std::size_t>(i)] = static_cast<T>(pair.first);
      if (i + 1 < count) values[static_cast<std::size_t>(i + 1)] = static_cast<T>(pair.second);
    }
  }
  note(std::is_same_v<T, float> ? "nf" : "nd", count);
}

void RandomSource::uniform(std::span<float> values, float from, float to) { draw_uniform(values, from, to); }
void RandomSource::uniform(std::span<double> values, double from, double to) { draw_uniform(values, from, to); }
void RandomSource::normal(std::span<float> values) { draw_normal(values); }
void RandomSource::normal(std::span<double> values) { draw_normal(values); }

std::vector<Index> RandomSource::epoch_order(Index n) {
  std::vector<Index> order;
  if (kind_ == RandomKind::torch) {
    order = torch_.epoch_order(n);
  } else {
    const Philox philox(seed_, first_stream + stream_);
    order.resize(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), Index{0});
    for (Index i = 0; i + 1 < n; ++i) {
      const auto other = philox.word(static_cast<std::uint64_t>(i)) % static_cast<std::uint64_t>(n - i);
      std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(i) + other]);
    }
  }
  note("e", n);
  return order;
}

std::string RandomSource::history() const {
  std::string text;
  for (const Draw& draw : draws_)
    text += fmt::format("{}{}{}*{}", text.empty() ? "" : " ", draw.what, draw.size, draw.times);
  return text;
}

void RandomSource::repeat(const Draw& draw) {
  const auto size = static_cast<std::size_t>(draw.size);
  for (Index time = 0; time < draw.times; ++time) {
    if (kind_ == RandomKind::philox) {
      note(draw.what, draw.size);
    } else if (draw.what == "e") {
      static_cast<void>(epoch_order(draw.size));
    } else if (draw.what == "uf" || draw.what == "nf") {
      std::vector<float> dropped(size);
      draw.what == "uf" ? uniform(std::span<float>(dropped), 0, 1) : normal(std::span<float>(dropped));
    } else {
      std::vector<double> dropped(size);
      draw.what == "ud" ? uniform(std::span<double>(dropped), 0, 1) : normal(std::span<double>(dropped));
    }
  }
}

RandomSource RandomSource::replay(RandomKind kind, std::uint64_t seed, const std::string& history) {
  RandomSource source(kind, seed);
  std::istringstream words(history);
  for (std::string word; words >> word;) {
    const std::size_t digits = word.find_first_of("0123456789"), star = word.find('*');
    Draw draw{digits == std::string::npos ? "" : word.substr(0, digits), -1, -1};
    const auto number = [&](std::size_t from, std::size_t to, Index& value) {
      const auto [end, error] = std::from_chars(word.data() + from, word.data() + to, value);
      return error == std::errc() && end == word.data() + to;
    };
    const bool known =
        draw.what == "uf" || draw.what == "ud" || draw.what == "nf" || draw.what == "nd" || draw.what == "e";
    if (!known || star == std::string::npos || !number(digits, star, draw.size) ||
        !number(star + 1, word.size(), draw.times) || draw.size < 0 || draw.times < 1)
      throw Error(fmt::format("'{}' in the history of random numbers is no draw", word));
    source.repeat(draw);
  }
  return source;
}

}  // namespace lowrank
