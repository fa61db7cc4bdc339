#include "api/responses/input_items.h"

#include <nlohmann/json.hpp>

#include "api/responses/custom_tool.h"
#include "api/responses/hosted_items.h"
#include "api/responses/tools.h"
#include "api/schema/dialect.h"
#include "api/text/ids.h"

namespace fathom::api::responses {

namespace {

constexpr size_t kMaxItems = 100'000;
constexpr const char* kFunctionOutput = "function_call_output";
constexpr const char* kCustomOutput = "custom_tool_call_output";

Result<std::string> id_of(const Json& item, const std::string& path, const char* prefix) {
  const Json* id = find_member(item, "id");
  if (id == nullptr || !id->is_string()) return random_id(prefix);
  return read_short_string(*id, key_path(path, "id"), kMaxIdCharacters);
}

// The name of a call that items refer to.
Result<std::string> read_call_id(const Json& item, const std::string& path) {
  FATHOM_ASSIGN(const std::string id, required_string(item, "call_id", path));
  return read_short_string(id, key_path(path, "call_id"), kMaxIdCharacters);
}

Json message_item(const std::string& id, const std::string& role, const std::string& text) {
  Json part = {{"type", "input_text"}, {"text", text}};
  if (role == "assistant") {
    part = {{"type", "output_text"},
            {"text", text},
            {"annotations", Json::array()},
            {"logprobs", Json::array()}};
  }
  return {{"id", id},
          {"type", "message"},
          {"status", "completed"},
          {"role", role},
          {"content", Json::array({std::move(part)})}};
}

// An assistant's refusal is what it said.
Result<std::string> read_said(const Json& content, const std::string& path,
                              const std::string& role) {
  if (role != "assistant") {
    return read_text_parts(content, path, {"input_text", "output_text", "text"});
  }
  return read_text_parts(content, path, {"input_text", "output_text", "text", "refusal"});
}

Result<Json> read_message(const Json& item, const std::string& path) {
  FATHOM_ASSIGN(const std::string role, required_string(item, "role", path));
  if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
    return expected(key_path(path, "role"), "user, assistant, system or developer", Json(role));
  }
  const std::string content_path = key_path(path, "content");
  const Json* content = find_member(item, "content");
  if (content == nullptr) {
    return invalid_argument(
        content_path + ": expected a string or an array of text parts, got nothing", content_path);
  }
  FATHOM_ASSIGN(const std::string text, read_said(*content, content_path, role));
  FATHOM_ASSIGN(const std::string id, id_of(item, path, "msg_"));
  return message_item(id, role, text);
}

// `call` with the namespace of the tool, if `item` names one.
Result<Json> with_group(const Json& item, const std::string& path, Json call) {
  if (const Json* group = find_member(item, "namespace")) {
    FATHOM_ASSIGN(call["namespace"], read_string(*group, key_path(path, "namespace")));
  }
  return call;
}

Result<Json> read_call(const Json& item, const std::string& path) {
  FATHOM_ASSIGN(const std::string id, id_of(item, path, "fc_"));
  FATHOM_ASSIGN(const std::string call_id, read_call_id(item, path));
  FATHOM_ASSIGN(const std::string name, required_string(item, "name", path));
  FATHOM_ASSIGN(const std::string arguments, required_string(item, "arguments", path));
  return with_group(item, path,
                    {{"id", id},
                     {"type", "function_call"},
                     {"status", "completed"},
                     {"call_id", call_id},
                     {"name", name},
                     {"arguments", arguments}});
}

Result<Json> read_custom_call(const Json& item, const std::string& path) {
  FATHOM_ASSIGN(const std::string id, id_of(item, path, "ctc_"));
  FATHOM_ASSIGN(const std::string call_id, read_call_id(item, path));
  FATHOM_ASSIGN(const std::string name, required_string(item, "name", path));
  FATHOM_ASSIGN(const std::string input, required_string(item, "input", path));
  return with_group(item, path,
                    {{"id", id},
                     {"type", "custom_tool_call"},
                     {"status", "completed"},
                     {"call_id", call_id},
                     {"name", name},
                     {"input", input}});
}

Result<Json> read_call_output(const Json& item, const std::string& type, const std::string& path) {
  const bool custom = type == kCustomOutput;
  FATHOM_ASSIGN(const std::string id, id_of(item, path, custom ? "ctco_" : "fco_"));
  FATHOM_ASSIGN(const std::string call_id, read_call_id(item, path));
  const std::string output_path = key_path(path, "output");
  const Json* output = find_member(item, "output");
  if (output == nullptr) {
    return invalid_argument(output_path + ": expected a string, got nothing", output_path);
  }
  FATHOM_ASSIGN(const std::string text, read_tool_output(*output, output_path));
  return Json{
      {"id", id}, {"type", type}, {"status", "completed"}, {"call_id", call_id}, {"output", text}};
}

Result<Json> read_reasoning(const Json& item, const std::string& path) {
  FATHOM_ASSIGN(const std::string id, id_of(item, path, "rs_"));
  std::string text;
  if (const Json* content = find_member(item, "content")) {
    FATHOM_ASSIGN(text,
                  read_text_parts(*content, key_path(path, "content"), {"reasoning_text", "text"}));
  }
  Json parts = Json::array();
  if (!text.empty()) parts.push_back({{"type", "reasoning_text"}, {"text", text}});
  return Json{
      {"id", id}, {"type", "reasoning"}, {"summary", Json::array()}, {"content", std::move(parts)}};
}

Result<Json> read_item(const Json& item, const std::string& path) {
  if (!item.is_object()) return expected(path, "an object", item);
  const Json* type = find_member(item, "type");
  if (type == nullptr || *type == "message") return read_message(item, path);
  if (*type == "function_call") return read_call(item, path);
  if (*type == "custom_tool_call") return read_custom_call(item, path);
  if (*type == kFunctionOutput || *type == kCustomOutput) {
    return read_call_output(item, type->get<std::string>(), path);
  }
  if (*type == "reasoning") return read_reasoning(item, path);
  if (type->is_string() && is_hosted_item(type->get<std::string>())) {
    return read_hosted_item(item, path);
  }
  return unsupported(key_path(path, "type"),
                     "expected message, function_call, custom_tool_call, an output of these, "
                     "reasoning or a call of OpenAI's tools, got " +
                         json_excerpt(*type));
}

std::string text_of(const Json& parts) {
  std::string text;
  for (const Json& part : parts) text += part["text"].get_ref<const std::string&>();
  return text;
}

// Gathers the items of one assistant's turn.
class Turns {
 public:
  void add(const Json& item) {
    const std::string type = item["type"];
    if (type == kFunctionOutput || type == kCustomOutput) {
      add_result(
          {{"role", "tool"}, {"tool_call_id", item["call_id"]}, {"content", item["output"]}});
    } else if (type == "reasoning") {
      if (turn_.contains("content") || turn_.contains("tool_calls")) end_turn();
      append("reasoning_content", text_of(item["content"]));
    } else if (type == "function_call") {
      add_call(item, item["arguments"]);
    } else if (type == "custom_tool_call") {
      add_call(item, custom_arguments(item["input"]));
    } else if (type == "message") {
      add_message(item["role"], text_of(item["content"]));
    } else {
      const HostedParts parts = hosted_parts(item);
      if (parts.call) turn_["tool_calls"].push_back(*parts.call);
      if (parts.result) add_result(*parts.result);
    }
  }

  Json take() {
    end_turn();
    return std::move(messages_);
  }

 private:
  void add_result(Json message) {
    end_turn();
    messages_.push_back(std::move(message));
  }

  void add_call(const Json& item, const std::string& arguments) {
    const Json* group = find_member(item, "namespace");
    const std::string name =
        model_name(group == nullptr ? "" : group->get<std::string>(), item["name"]);
    turn_["tool_calls"].push_back({{"id", item["call_id"]},
                                   {"type", "function"},
                                   {"function", {{"name", name}, {"arguments", arguments}}}});
  }

  void add_message(const Json& role, const std::string& text) {
    if (role != "assistant") {
      end_turn();
      messages_.push_back({{"role", role}, {"content", text}});
      return;
    }
    if (turn_.contains("content") || turn_.contains("tool_calls")) end_turn();
    append("content", text);
  }

  void append(const char* name, const std::string& text) {
    if (!turn_.contains(name)) turn_[name] = "";
    turn_[name].get_ref<std::string&>() += text;
  }

  void end_turn() {
    if (turn_.empty()) return;
    turn_["role"] = "assistant";
    messages_.push_back(std::exchange(turn_, Json::object()));
  }

  Json messages_ = Json::array();
  Json turn_ = Json::object();
};

}  // namespace

Result<Json> read_input(const Json& value, const std::string& path) {
  if (value.is_string()) {
    return Json::array({message_item(random_id("msg_"), "user", value.get<std::string>())});
  }
  if (!value.is_array()) return expected(path, "a string or an array of items", value);
  Json items = Json::array();
  FATHOM_TRY(read_array(value, path, kMaxItems, [&](const Json& item, const std::string& at) {
    auto read = read_item(item, at);
    if (!read) return Status(read.error());
    items.push_back(std::move(*read));
    return Status();
  }));
  return items;
}

Json to_messages(const Json& items) {
  Turns turns;
  for (const Json& item : items) turns.add(item);
  return turns.take();
}

}  // namespace fathom::api::responses
