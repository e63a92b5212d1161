#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lowrank {

/// Parses JSON strictly: bad UTF-8, a NUL, a key given twice and anything after the value are refused. Throws Error,
/// which begins with `place` and names the byte. As nlohmann::ordered_json, keys stay in the order of the text.
template <class Json = nlohmann::json>
Json parse_json(const std::string& place, std::string_view text);

}  // namespace lowrank
