#include <fmt/core.h>

#include <lowrank/core/error.hpp>
#include <lowrank/io/file_bytes.hpp>
#include <lowrank/io/json_text.hpp>
#include <set>
#include <vector>

namespace lowrank {

template <class Json>
Json parse_json(const std::string& place, std::string_view text) {
  // The parser takes a NUL for the end of the text.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos)
    throw Error(fmt::format("{}: there is a NUL character at byte {}", place, nul));
  using Event = typename Json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Event event, Json& value) {
    if (depth > 32) throw Error(fmt::format("{}: nested more than 32 deep", place));
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.template get<std::string>()).second)
      throw Error(fmt::format("{}: the key {} is given twice", place, in_quotes(value.template get<std::string>())));
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const typename Json::exception& error) {
    std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    if (const auto end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    throw Error(fmt::format("{}: {}", place, reason));
  }
}

template nlohmann::json parse_json(const std::string&, std::string_view);
template nlohmann::ordered_json parse_json(const std::string&, std::string_view);

}  // namespace lowrank
