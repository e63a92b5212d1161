#include <fmt/core.h>

#include <lowrank/core/device.hpp>

#include "command_line.hpp"
#include "commands.hpp"
#include "report.hpp"

namespace lowrank::tools {
namespace {

Json as_json(const std::vector<DeviceInfo>& devices) {
  Json list = Json::array();
  for (const DeviceInfo& each : devices)
    list.push_back({{"name", each.name},
                    {"model", each.model},
                    {"memory", each.memory},
                    {"available", each.available},
                    {"libraries", each.libraries.empty() ? Json(nullptr) : Json(each.libraries)},
                    {"usable", each.unusable.empty()},
                    {"reason", each.unusable.empty() ? Json(nullptr) : Json(each.unusable)}});
  return {{"devices", list}};
}

std::string as_text(const std::vector<DeviceInfo>& devices) {
  std::string text;
  for (const DeviceInfo& each : devices) {
    text += each.name;
    if (!each.model.empty()) text += ": " + each.model;
    if (each.memory > 0) text += fmt::format(", {} of {} free", size_text(each.available), size_text(each.memory));
    if (!each.libraries.empty()) text += ", " + each.libraries;
    text += each.unusable.empty() ? "\n" : fmt::format("\n  cannot be used: {}\n", one_line(each.unusable));
  }
  return text;
}

}  // namespace

int devices_command(int argc, char** argv) {
  CommandLine command("devices", "The devices that --device can name, and why one cannot be used.",
                      {{"lowrank devices", "the processor, and the GPUs there are"},
                       {"lowrank devices --json", "with their memory in bytes"}});
  if (!command.parse(argc, argv)) return done;
  const std::vector<DeviceInfo> devices = list_devices();
  print(command.json ? json_line(as_json(devices)) : as_text(devices));
  return done;
}

}  // namespace lowrank::tools
