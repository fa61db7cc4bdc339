#include "cli/commands/devices.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "serving/chips.h"

namespace fathom::cli {
namespace {

using Json = nlohmann::ordered_json;

Json describe_device(const fathom_backend& backend, int32_t index) {
  device::DeviceOptions options;
  options.index = index;
  Json described = {{"index", index}};
  const auto device = device::Device::open(backend, options);
  if (!device) {
    described["error"] = device.error().message;
    return described;
  }
  const fathom_device_info& info = (*device)->info();
  described["name"] = info.name;
  described["memory_bytes"] = info.memory_bytes;
  described["memory_free"] = info.memory_free;
  described["error"] = nullptr;
  return described;
}

Json describe_chip(const fathom_backend& backend) {
  Json chip = {{"chip", backend.name},
               {"version", backend.version},
               {"devices", Json::array()},
               {"error", nullptr}};
  int32_t count = 0;
  if (backend.device_count(&count) != FATHOM_OK) {
    chip["error"] = backend.last_error();
    return chip;
  }
  for (int32_t i = 0; i < count; ++i) chip["devices"].push_back(describe_device(backend, i));
  if (count == 0) chip["error"] = "the driver is there, but has no device";
  return chip;
}

Json describe_chips() {
  const auto found = serving::look_for_chips();
  Json described = {{"chips", Json::array()}, {"refused_plug_ins", Json::array()}};
  for (const fathom_backend* backend : found.registry->backends()) {
    described["chips"].push_back(describe_chip(*backend));
  }
  for (const Error& error : found.refused) described["refused_plug_ins"].push_back(error.message);
  return described;
}

std::string lines_of(const Json& chip) {
  const auto name = chip["chip"].get<std::string>();
  if (!chip["error"].is_null()) {
    return fmt::format("{}: {}\n", name, chip["error"].get<std::string>());
  }
  std::string text;
  for (const Json& device : chip["devices"]) {
    const char* key = device["error"].is_null() ? "name" : "error";
    text += fmt::format("{} {}: {}\n", name, device["index"].get<int>(),
                        device[key].get<std::string>());
  }
  return text;
}

}  // namespace

int run_devices(const DevicesOptions& options) {
  const Json described = describe_chips();
  if (options.json) {
    constexpr int kIndent = 2;
    fmt::print("{}\n", described.dump(kIndent, ' ', false, Json::error_handler_t::replace));
    return 0;
  }
  for (const Json& chip : described["chips"]) fmt::print("{}", lines_of(chip));
  for (const Json& refused : described["refused_plug_ins"]) {
    fmt::print("not loaded: {}\n", refused.get<std::string>());
  }
  return 0;
}

}  // namespace fathom::cli
