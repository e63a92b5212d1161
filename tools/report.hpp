#pragma once

#include <lowrank/core/types.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lowrank::tools {

/// Keys keep the order in which they were set.
using Json = nlohmann::ordered_json;

/// The object on one line. Numbers read back as the same double; NaN and Inf, which JSON lacks, become null.
std::string json_line(const Json& object);

/// A number as people read it, `digits` significant ones.
std::string number(double value, int digits = 6);
std::string seconds_text(double seconds);
/// "4000 x 4000".
std::string shape_text(Index rows, Index cols);
/// "1.50 GiB".
std::string size_text(Index bytes);
std::string percent(double fraction);

/// Columns under their titles, aligned to the right.
std::string table(const std::vector<std::string>& titles, const std::vector<std::vector<std::string>>& rows);

/// "label     value" lines.
std::string fields(const std::vector<std::pair<std::string, std::string>>& lines);

}  // namespace lowrank::tools
