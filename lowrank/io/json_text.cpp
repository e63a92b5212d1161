#include <fmt/core.h>

#include <lowrank/core/error.hpp>
#include <lowrank/io/file_bytes.hpp>
#include <lowrank/io/json_text.hpp>
#include <set>
#include <vector>

namespace lowrank {

nlohmann::json parse_json(const std::string& place, std::string_view text) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Event event, nlohmann::json& value) {
    if (depth > 32) throw Error(fmt::format("{}: nested more than 32 deep", place));
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second)
      throw Error(fmt::format("{}: the key {} is given twice", place, in_quotes(value.get<std::string>())));
    return true;
  };
  try {
    return nlohmann::json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& error) {
    std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    if (const auto end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    throw Error(fmt::format("{}: {}", place, reason));
  }
}

}  // namespace lowrank
