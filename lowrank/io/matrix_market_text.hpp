#pragma once

#include <array>
#include <lowrank/io/file_bytes.hpp>

namespace lowrank {

enum class MarketField { real, integer, pattern };
enum class MarketSymmetry { general, symmetric, skew_symmetric };
inline constexpr std::array<std::string_view, 3> market_names{"real", "integer", "pattern"};

struct MarketHeader {
  bool coordinate = true;
  MarketField field{};
  MarketSymmetry symmetry{};
  Index rows = 0, cols = 0, entries = 0;
};

/// The text of a Matrix Market file, taken line by line and token by token; failures name the line and the column (a
/// character's).
class MarketText {
 public:
  explicit MarketText(const FileBytes& file);

  /// The banner, comments and the line of sizes.
  MarketHeader header();

  /// Goes on, over blanks and ends of lines, to the next token; false at the end of the file.
  bool next_line();
  /// A one-based index of at most `count`, made zero-based.
  Index index(const char* what, Index count);
  double value(MarketField field);
  /// How many values were integers that a double does not hold.
  Index rounded() const { return rounded_; }
  /// Throws unless the line ends here.
  void end_line();
  /// Throws if anything but blank lines follows.
  void end_file(Index count);
  /// Throws for an entry that a (skew-)symmetric file must not hold.
  void check_triangle(MarketSymmetry symmetry, Index i, Index j) const;

  Index left() const { return end_ - at_; }
  [[noreturn]] void fail(const std::string& what) const;

 private:
  MarketHeader banner();
  Index size(const char* what);
  std::string_view token();
  void skip_blanks();
  [[noreturn]] void fail_at(const char* place, const std::string& what) const;

  const std::string& name_;
  const char *at_, *end_, *line_start_;
  Index line_ = 1, rounded_ = 0;
};

}  // namespace lowrank
