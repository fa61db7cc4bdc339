#include "api/responses/hosted_items.h"

#include <algorithm>

#include "api/schema/dialect.h"
#include "api/text/ids.h"

namespace fathom::api::responses {

namespace {

constexpr std::string_view kCall = "_call";
constexpr std::string_view kOutput = "_call_output";
constexpr const char* kSilent[] = {"mcp_list_tools", "mcp_approval_request",
                                   "mcp_approval_response", "tool_search_output", "compaction"};

std::string text_member(const Json& item, const char* name) {
  const Json* value = find_member(item, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

// What ties a call to its output; some types have an id alone.
std::string call_id(const Json& item) {
  const std::string id = text_member(item, "call_id");
  return id.empty() ? text_member(item, "id") : id;
}

bool has_types(const Json& parts) {
  return std::all_of(parts.begin(), parts.end(), [](const Json& part) {
    return part.is_object() && !text_member(part, "type").empty();
  });
}

// Text unchanged, images and files as a note, other JSON as JSON.
std::string output_text(const Json& output) {
  const std::string type = output.is_object() ? text_member(output, "type") : "";
  if (!type.empty()) return left_out_note(type);
  if (output.is_string() || (output.is_array() && has_types(output))) {
    if (auto text = read_tool_output(output, "")) return std::move(*text);
  }
  return dump_json(output);
}

Json chat_call(const std::string& id, const std::string& name, const std::string& arguments) {
  return {
      {"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", arguments}}}};
}

Json chat_result(const std::string& id, const std::string& text) {
  return {{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
}

// An action of a shell, a computer and the like: all that the item says of it.
Json action_of(const Json& item) {
  Json action = Json::object();
  for (const auto& [name, value] : item.items()) {
    const bool frame = name == "type" || name == "id" || name == "call_id" || name == "status";
    if (!frame && !value.is_null()) action[name] = value;
  }
  return action;
}

}  // namespace

bool is_hosted_item(const std::string& type) {
  const std::string_view name = type;
  return name.ends_with(kCall) || name.ends_with(kOutput) ||
         std::find(std::begin(kSilent), std::end(kSilent), name) != std::end(kSilent);
}

Result<Json> read_hosted_item(const Json& item, const std::string& path) {
  FATHOM_ASSIGN(const std::string type, required_string(item, "type", path));
  for (const char* name : {"id", "call_id", "name", "arguments"}) {
    const Json* value = find_member(item, name);
    const bool text = value == nullptr || value->is_string() || !type.starts_with("mcp_");
    if (!text) return expected(key_path(path, name), "a string", *value);
  }
  for (const char* name : {"id", "call_id"}) {
    const Json* id = find_member(item, name);
    if (id == nullptr || !id->is_string()) continue;
    FATHOM_TRY(read_short_string(*id, key_path(path, name), kMaxIdCharacters));
  }
  const bool output = std::string_view(type).ends_with(kOutput);
  if (output && find_member(item, "output") == nullptr && type != "apply_patch_call_output") {
    return invalid_argument(key_path(path, "output") + ": expected a string, got nothing",
                            key_path(path, "output"));
  }
  Json read = item;
  if (text_member(item, "id").empty()) read["id"] = random_id("item_");
  return read;
}

HostedParts hosted_parts(const Json& item) {
  const std::string type = item["type"];
  const Json* output = find_member(item, "output");
  if (std::string_view(type).ends_with(kOutput)) {
    const std::string text = output_text(output == nullptr ? action_of(item) : *output);
    return {.result = chat_result(call_id(item), text)};
  }
  if (type == "mcp_call") {
    HostedParts parts{.call = chat_call(call_id(item), text_member(item, "name"),
                                        text_member(item, "arguments"))};
    if (output == nullptr) output = find_member(item, "error");
    if (output != nullptr) parts.result = chat_result(call_id(item), output_text(*output));
    return parts;
  }
  if (text_member(item, "call_id").empty()) return {};
  const std::string name = type.substr(0, type.size() - kCall.size());
  return {.call = chat_call(call_id(item), name, dump_json(action_of(item)))};
}

}  // namespace fathom::api::responses
