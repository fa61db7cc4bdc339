#include "api/responses/tools.h"

#include <optional>

#include "api/responses/custom_tool.h"
#include "api/schema/dialect.h"

namespace fathom::api::responses {

namespace {

constexpr size_t kMaxTools = 1024;

// The function of a tool, or its name for tool_choice, apart from the type as a chat has it.
Json chat_function(const Json& tool) {
  Json function = Json::object();
  for (const char* name : {"name", "description", "parameters", "strict"}) {
    if (const Json* value = find_member(tool, name)) function[name] = *value;
  }
  return function;
}

Result<std::string> optional_group(const Json& tool, const std::string& path) {
  const Json* group = find_member(tool, "namespace");
  return group == nullptr ? std::string() : read_string(*group, key_path(path, "namespace"));
}

void add(Json function, const std::string& path, RequestTools& tools) {
  tools.chat.push_back({{"type", "function"}, {"function", std::move(function)}});
  tools.paths.push_back(path);
}

Status add_function(const Json& tool, const std::string& path, const std::string& group,
                    RequestTools& tools) {
  Json function = chat_function(tool);
  if (!group.empty()) {
    FATHOM_ASSIGN(const std::string name, required_string(tool, "name", path));
    function["name"] = model_name(group, name);
    tools.special[model_name(group, name)] = {name, group};
  }
  add(std::move(function), path, tools);
  return {};
}

Status add_custom(const Json& tool, const std::string& path, const std::string& group,
                  RequestTools& tools) {
  FATHOM_ASSIGN(Json function, custom_function(tool, path));
  const std::string name = function["name"];
  function["name"] = model_name(group, name);
  tools.special[model_name(group, name)] = {name, group, true};
  add(std::move(function), path, tools);
  return {};
}

Status add_tool(const Json& tool, const std::string& path, const std::string& group,
                RequestTools& tools) {
  if (!tool.is_object()) return expected(path, "an object with type and name", tool);
  FATHOM_ASSIGN(const std::string type, required_string(tool, "type", path));
  if (type == "function") return add_function(tool, path, group, tools);
  if (type == "custom") return add_custom(tool, path, group, tools);
  if (type == "namespace" && group.empty()) {
    FATHOM_ASSIGN(const std::string name, required_string(tool, "name", path));
    const Json* members = find_member(tool, "tools");
    return read_array(members == nullptr ? Json() : *members, key_path(path, "tools"), kMaxTools,
                      [&](const Json& member, const std::string& at) {
                        return add_tool(member, at, name, tools);
                      });
  }
  tools.left_out.push_back(tool_left_out(path, type));
  return {};
}

// As the response repeats a tool that is served.
Json echo_of(const Json& tool) {
  Json echo = tool;
  if (tool["type"] != "function") return echo;
  for (const char* name : {"parameters", "strict"}) {
    if (!echo.contains(name)) echo[name] = nullptr;
  }
  return echo;
}

// A function or custom tool that is chosen or allowed; nothing if it is one of another type.
Result<std::optional<Json>> read_chosen(const Json& tool, const std::string& path) {
  if (!tool.is_object()) return expected(path, "an object with type and name", tool);
  FATHOM_ASSIGN(const std::string type, required_string(tool, "type", path));
  if (type != "function" && type != "custom") return std::optional<Json>();
  FATHOM_ASSIGN(const std::string name, required_string(tool, "name", path));
  FATHOM_ASSIGN(const std::string group, optional_group(tool, path));
  return std::optional<Json>(
      {{"type", "function"}, {"function", {{"name", model_name(group, name)}}}});
}

// Tools that are left out cannot be called.
Result<Json> read_allowed(const Json& value, const std::string& path) {
  const Json* mode = find_member(value, "mode");
  Json allowed = {{"mode", mode == nullptr ? Json() : *mode}, {"tools", Json::array()}};
  const Json* tools = find_member(value, "tools");
  if (tools != nullptr) {
    FATHOM_TRY(read_array(*tools, key_path(path, "tools"), kMaxTools,
                          [&](const Json& tool, const std::string& at) -> Status {
                            FATHOM_ASSIGN(auto chosen, read_chosen(tool, at));
                            if (chosen) allowed["tools"].push_back(std::move(*chosen));
                            return {};
                          }));
    const bool none_left = !tools->empty() && allowed["tools"].empty();
    if (none_left && allowed["mode"] == "auto") return Json("none");
  }
  return Json{{"type", "allowed_tools"}, {"allowed_tools", std::move(allowed)}};
}

}  // namespace

std::string model_name(const std::string& group, const std::string& name) {
  return group.empty() ? name : group + "__" + name;
}

Result<RequestTools> read_tools(const Json& value, const std::string& path) {
  RequestTools tools;
  FATHOM_TRY(read_array(value, path, kMaxTools, [&](const Json& tool, const std::string& at) {
    const size_t before = tools.chat.size();
    const Status added = add_tool(tool, at, "", tools);
    if (added && tools.chat.size() > before) tools.echo.push_back(echo_of(tool));
    return added;
  }));
  return tools;
}

Result<Json> read_tool_choice(const Json& value, const std::string& path) {
  if (!value.is_object()) return value;
  FATHOM_ASSIGN(const std::string type, required_string(value, "type", path));
  if (type == "allowed_tools") return read_allowed(value, path);
  FATHOM_ASSIGN(auto chosen, read_chosen(value, path));
  if (chosen) return std::move(*chosen);
  return unsupported(key_path(path, "type"), "expected function, custom or allowed_tools, got \"" +
                                                 shorten(type, 40) + "\"");
}

}  // namespace fathom::api::responses
