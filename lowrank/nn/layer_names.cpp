#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <lowrank/core/error.hpp>
#include <lowrank/nn/layer_names.hpp>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace lowrank {
namespace {

/// Names are compared with their numbers as numbers: linear2 before linear10.
bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      std::size_t ie = i, je = j;
      while (ie < a.size() && digit(a[ie])) ++ie;
      while (je < b.size() && digit(b[je])) ++je;
      while (i < ie && a[i] == '0') ++i;
      while (j < je && b[j] == '0') ++j;
      const std::string_view x(a.data() + i, ie - i), y(b.data() + j, je - j);
      if (x != y) return x.size() != y.size() ? x.size() < y.size() : x < y;
      i = ie;
      j = je;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

/// A name with its numbers as "#": layers of one pattern are ordered by their numbers.
std::string pattern_of(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    if (c < '0' || c > '9')
      pattern += c;
    else if (!pattern.ends_with('#'))
      pattern += '#';
  }
  return pattern;
}

/// Finds the orders of layers in which each takes as many inputs as the one before gives outputs, and in which the
/// numbers of names of one pattern grow.
class ShapeChains {
 public:
  ShapeChains(const SafetensorsFile& file, const std::vector<std::string>& sorted_names) : count_(sorted_names.size()) {
    std::map<std::string, std::vector<Step>> runs;
    for (const std::string& name : sorted_names) {
      const auto& shape = file.tensor(name + weight_suffix).shape;
      runs[pattern_of(name)].push_back({name, shape[1], shape[0]});
    }
    for (auto& [pattern, run] : runs) runs_.push_back(std::move(run));
    next_.resize(runs_.size());
    search();
  }
  /// The order, when there is exactly one.
  std::optional<std::vector<std::string>> only() const { return found_ == 1 ? std::optional(first_) : std::nullopt; }
  bool none() const { return found_ == 0; }

 private:
  struct Step {
    std::string name;
    Index in, out;
  };
  // A file whose shapes allow more has no order that could be relied on.
  static constexpr int most_tries = 10'000;

  void search() {
    if (chain_.size() == count_) {
      if (++found_ == 1)
        for (const Step* step : chain_) first_.push_back(step->name);
      return;
    }
    for (std::size_t run = 0; run < runs_.size() && found_ < 2 && tries_ < most_tries; ++run) {
      if (next_[run] == runs_[run].size()) continue;
      const Step& step = runs_[run][next_[run]];
      ++tries_;
      if (!chain_.empty() && chain_.back()->out != step.in) continue;
      chain_.push_back(&step);
      ++next_[run];
      search();
      --next_[run];
      chain_.pop_back();
    }
    if (tries_ >= most_tries) found_ = std::max(found_, 2);
  }

  std::size_t count_;
  std::vector<std::vector<Step>> runs_;
  std::vector<std::size_t> next_;
  std::vector<const Step*> chain_;
  std::vector<std::string> first_;
  int found_ = 0, tries_ = 0;
};

/// The order of layers that no metadata list: by the numbers in their names, or the only one in which their shapes fit.
std::vector<std::string> inferred_order(const std::string& path, const SafetensorsFile& file,
                                        std::vector<std::string> names) {
  std::sort(names.begin(), names.end(), natural_less);
  const auto same_pattern = [&](const std::string& name) { return pattern_of(name) == pattern_of(names.front()); };
  if (std::all_of(names.begin(), names.end(), same_pattern)) return names;
  const ShapeChains chains(file, names);
  if (auto order = chains.only()) return *std::move(order);
  throw Error(
      fmt::format("{}: the order of the layers {} is not known: no numbers in their names tell it, and their "
                  "shapes fit {}; metadata \"layers\" with their names in order, separated by commas, would "
                  "tell it",
                  path, first_names(names), chains.none() ? "in no order" : "not in one order alone"));
}

}  // namespace

std::vector<std::string> layer_names(const std::string& path, const SafetensorsFile& file) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) {
    const bool weight = tensor.name.ends_with(weight_suffix), bias = tensor.name.ends_with(bias_suffix);
    const std::string stem = tensor.name.substr(0, tensor.name.size() - (weight ? weight_suffix.size()
                                                                         : bias ? bias_suffix.size()
                                                                                : 0));
    const std::string other = stem + (weight ? bias_suffix : weight_suffix);
    if ((!weight && !bias) || tensor.shape.size() != (weight ? 2U : 1U))
      throw Error(fmt::format(
          "{}: the tensor {} [{}] is no weight and no bias of a linear layer: the file is no multilayer perceptron",
          path, tensor.name, fmt::join(tensor.shape, ", ")));
    if (!file.contains(other)) throw Error(fmt::format("{}: {} is there, but {} is not", path, tensor.name, other));
    if (weight) names.push_back(stem);
  }
  if (names.empty()) throw Error(path + ": there is no layer in it");
  const auto listed = file.metadata().find("layers");
  if (listed == file.metadata().end()) return inferred_order(path, file, std::move(names));
  std::vector<std::string> order;
  std::istringstream words(listed->second);
  for (std::string word; std::getline(words, word, ',');) order.push_back(word);
  if (std::set<std::string>(order.begin(), order.end()) != std::set<std::string>(names.begin(), names.end()) ||
      order.size() != names.size())
    throw Error(fmt::format("{}: the metadata list the layers {}, the tensors are those of {}", path, listed->second,
                            fmt::join(names, ",")));
  return order;
}

}  // namespace lowrank
