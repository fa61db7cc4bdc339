#include "api/schema/chat.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fathom::api {

namespace {

constexpr size_t kMaxTools = 1024;
constexpr size_t kMaxNameBytes = 128;
constexpr int32_t kMaxTopLogprobs = 20;

bool is_function_name(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), allowed);
}

Status read_tool(const Json& tool, const std::string& path, std::vector<std::string>& names) {
  if (!tool.is_object()) return expected(path, "an object with type and function", tool);
  const Json* type = find_member(tool, "type");
  if (type == nullptr || *type != "function") {
    return expected(key_path(path, "type"), "\"function\"", type == nullptr ? Json() : *type);
  }
  const std::string function_path = key_path(path, "function");
  const Json* function = find_member(tool, "function");
  if (function == nullptr || !function->is_object()) {
    return expected(function_path, "an object", function == nullptr ? Json() : *function);
  }
  const std::string name_path = key_path(function_path, "name");
  const Json* name = find_member(*function, "name");
  if (name == nullptr || !name->is_string() || !is_function_name(name->get<std::string>())) {
    return expected(name_path, "1 to 128 letters, digits, '_', '-' or '.'",
                    name == nullptr ? Json() : *name);
  }
  if (const Json* text = find_member(*function, "description")) {
    FATHOM_TRY(read_string(*text, key_path(function_path, "description")));
  }
  if (const Json* strict = find_member(*function, "strict")) {
    FATHOM_TRY(read_bool(*strict, key_path(function_path, "strict")));
  }
  const Json* parameters = find_member(*function, "parameters");
  if (parameters != nullptr && !parameters->is_object()) {
    return expected(key_path(function_path, "parameters"), "an object", *parameters);
  }
  names.push_back(name->get<std::string>());
  return {};
}

Status read_mode(const Json& value, const std::string& path, ChatRequest& request) {
  constexpr std::pair<const char*, ToolChoice> kModes[] = {{"auto", ToolChoice::kAuto},
                                                           {"required", ToolChoice::kRequired}};
  for (const auto& [name, choice] : kModes) {
    if (value != name) continue;
    request.tool_choice = choice;
    return {};
  }
  return expected(path, "auto or required", value);
}

Result<std::string> read_callable(const Json& value, const std::string& path) {
  const Json* type = value.is_object() ? find_member(value, "type") : nullptr;
  const Json* function = value.is_object() ? find_member(value, "function") : nullptr;
  if (type == nullptr || *type != "function" || function == nullptr || !function->is_object()) {
    return expected(path, R"({"type": "function", "function": {"name": ...}})", value);
  }
  const Json* name = find_member(*function, "name");
  return read_string(name == nullptr ? Json() : *name, key_path(path, "function.name"));
}

// {"mode": "auto" | "required", "tools": [{"type": "function", "function": {"name"}}, ...]}
Status read_allowed_tools(const Json& value, const std::string& path, ChatRequest& request) {
  if (!value.is_object()) return expected(path, "an object with mode and tools", value);
  const Json* mode = find_member(value, "mode");
  FATHOM_TRY(read_mode(mode == nullptr ? Json() : *mode, key_path(path, "mode"), request));
  const Json* tools = find_member(value, "tools");
  request.callable_path = key_path(path, "tools");
  if (tools == nullptr || tools->empty()) {
    return expected(request.callable_path, "at least one tool", tools == nullptr ? Json() : *tools);
  }
  request.callable_tools.emplace();
  return read_array(*tools, request.callable_path, kMaxTools,
                    [&](const Json& tool, const std::string& at) -> Status {
                      FATHOM_ASSIGN(std::string name, read_callable(tool, at));
                      request.callable_tools->push_back(std::move(name));
                      return {};
                    });
}

Status read_tool_choice(const Json& value, const std::string& path, ChatRequest& request) {
  constexpr const char* kWanted =
      "none, auto, required, {\"type\": \"function\", \"function\": {\"name\": ...}} or "
      "{\"type\": \"allowed_tools\", \"allowed_tools\": {\"mode\", \"tools\"}}";
  if (value == "none") {
    request.tool_choice = ToolChoice::kNone;
    return {};
  }
  if (value == "auto" || value == "required") return read_mode(value, path, request);
  const Json* type = value.is_object() ? find_member(value, "type") : nullptr;
  if (type != nullptr && *type == "allowed_tools") {
    const Json* allowed = find_member(value, "allowed_tools");
    return read_allowed_tools(allowed == nullptr ? Json() : *allowed,
                              key_path(path, "allowed_tools"), request);
  }
  if (type == nullptr || *type != "function" || !value.contains("function") ||
      !value["function"].is_object()) {
    return expected(path, kWanted, value);
  }
  FATHOM_ASSIGN(std::string name, read_callable(value, path));
  request.tool_choice = ToolChoice::kRequired;
  request.callable_tools = {std::move(name)};
  request.callable_path = key_path(path, "function.name");
  request.parallel_tool_calls = false;
  return {};
}

Status read_budget(const Json& value, const std::string& path, ChatRequest& request) {
  FATHOM_ASSIGN(request.thinking_budget, read_integer(value, path, 0, kMaxTokenCount));
  return {};
}

Status read_thinking(const Json& value, const std::string& path, ChatRequest& request) {
  const Json* type = value.is_object() ? find_member(value, "type") : nullptr;
  if (type == nullptr || (*type != "enabled" && *type != "disabled")) {
    return expected(path, "{\"type\": \"enabled\"} or {\"type\": \"disabled\"}",
                    type == nullptr ? value : *type);
  }
  request.thinking = *type == "enabled";
  const Json* budget = find_member(value, "budget_tokens");
  return budget == nullptr ? Status()
                           : read_budget(*budget, key_path(path, "budget_tokens"), request);
}

struct Effort {
  const char* name;
  bool thinking;
  std::optional<int64_t> budget;  // tokens
};

const Effort kEfforts[] = {
    {"none", false, {}}, {"minimal", true, 256}, {"low", true, 1024}, {"medium", true, 8192},
    {"high", true, {}},  {"xhigh", true, {}},    {"max", true, {}},
};

const Effort* find_effort(const Json& name) {
  for (const Effort& effort : kEfforts) {
    if (name == effort.name) return &effort;
  }
  return nullptr;
}

Status read_effort(const Json& value, const std::string& path, ChatRequest& request) {
  if (find_effort(value) == nullptr) {
    return expected(path, "none, minimal, low, medium, high, xhigh or max", value);
  }
  request.reasoning_effort = value.get<std::string>();
  return {};
}

FieldTable<ChatRequest> make_table() {
  using R = ChatRequest;
  return {
      {{"messages", "array", "The conversation so far.", "", {}, {}, true},
       [](const Json& value, const std::string& path, R& request) {
         return read_messages(value, path, request.messages);
       }},
      integer_field<R, std::optional<int64_t>>(
          "max_completion_tokens", &R::max_tokens, 0, kMaxTokenCount, "the rest of the context",
          "Tokens to generate at most; stands over max_tokens."),
      bool_field<R>("logprobs", &R::logprobs, "false", "Give each token's log-probability."),
      integer_field<R>("top_logprobs", &R::top_logprobs, 0, kMaxTopLogprobs, "0",
                       "Give that many likeliest tokens at each position."),
      {{"tools", "array", "Functions that the model may call."},
       [](const Json& value, const std::string& path, R& request) {
         return read_tools(value, path, request.tools, request.tool_names);
       }},
      bool_field<R>("parallel_tool_calls", &R::parallel_tool_calls, "true",
                    "false: give at most one call."),
      // Behind parallel_tool_calls, which the name of a function turns off.
      {{"tool_choice", "string or object",
        "none, auto, required, the function to call, or allowed_tools: the ones that may be "
        "called.",
        "auto"},
       read_tool_choice},
      bool_field<R>("continue_final_message", &R::continue_final_message, "false",
                    "Go on with the last message, an assistant's, as its prefix: true asks, too."),
      {{"chat_template_kwargs", "object", "thinking or enable_thinking: a boolean."},
       [](const Json& value, const std::string& path, R& request) {
         return read_template_kwargs(value, path, request.thinking);
       }},
      {{"thinking", "object",
        "{\"type\": \"enabled\"} lets the model think first, for at most budget_tokens."},
       read_thinking},
      {{"thinking_token_budget", "integer", "Tokens after which a thought is closed.", "none", 0,
        kMaxTokenCount},
       read_budget},
      {{"reasoning_effort", "string",
        "none: no thought; minimal, low, medium: one of at most 256, 1024, 8192 tokens; high, "
        "xhigh, max: one of any length."},
       read_effort},
      refused_field<R>("functions", "array", "not supported; use tools"),
      refused_field<R>("function_call", "string or object", "not supported; use tool_choice"),
      refused_field<R>("chat_template", "string",
                       "not supported; the template is set where the server is started"),
  };
}

// Only what an assistant said last can go on.
Status check_continuation(ChatRequest& request) {
  for (size_t i = 0; i + 1 < request.messages.size(); ++i) {
    if (!request.messages[i].prefix) continue;
    const std::string path = key_path(index_path("messages", i), "prefix");
    return invalid_argument(path + ": expected only in the last message", path);
  }
  const ChatMessage& last = request.messages.back();
  request.continue_final_message |= last.prefix;
  if (!request.continue_final_message) return {};
  if (last.role != "assistant" || !last.tool_calls.empty()) {
    const char* field = last.prefix ? "prefix" : "continue_final_message";
    return invalid_argument(
        std::string(field) + ": expected an assistant's message without tool calls at the end",
        field);
  }
  return {};
}

}  // namespace

Status read_tools(const Json& value, const std::string& path, std::shared_ptr<const Json>& tools,
                  std::vector<std::string>& names) {
  FATHOM_TRY(read_array(value, path, kMaxTools, [&](const Json& tool, const std::string& at) {
    return read_tool(tool, at, names);
  }));
  if (!value.empty()) tools = std::make_shared<const Json>(value);
  return {};
}

Status read_template_kwargs(const Json& value, const std::string& path,
                            std::optional<bool>& thinking) {
  if (!value.is_object()) return expected(path, "an object", value);
  for (const char* name : {"enable_thinking", "thinking"}) {
    if (const Json* flag = find_member(value, name)) {
      FATHOM_ASSIGN(thinking, read_bool(*flag, key_path(path, name)));
    }
  }
  return {};
}

Status apply_reasoning_effort(ChatRequest& request) {
  if (!request.reasoning_effort) return {};
  const Effort* effort = find_effort(*request.reasoning_effort);
  if (effort == nullptr) {
    return read_effort(Json(*request.reasoning_effort), "reasoning_effort", request);
  }
  if (!request.thinking) request.thinking = effort->thinking;
  if (!request.thinking_budget) request.thinking_budget = effort->budget;
  return {};
}

Status check_tool_choice(const ChatRequest& request) {
  const bool chosen = request.tool_choice == ToolChoice::kRequired || request.callable_tools;
  if (chosen && !request.tools) {
    return invalid_argument("tool_choice: expected only with tools", "tool_choice");
  }
  if (!request.callable_tools) return {};
  const auto& names = request.tool_names;
  for (const std::string& name : *request.callable_tools) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    return expected(request.callable_path, "the name of a function in tools", Json(name));
  }
  return {};
}

const FieldTable<ChatRequest>& chat_field_table() {
  static const FieldTable<ChatRequest> table = make_table();
  return table;
}

Result<ChatRequest> read_chat_request(const Json& body) {
  if (!body.is_object()) return expected("request body", "an object", body);
  ChatRequest request;
  FATHOM_TRY(read_fields<GenerationFields>(generation_field_table(), body, "", request));
  FATHOM_TRY(read_fields(chat_field_table(), body, "", request));
  FATHOM_TRY(check_generation_fields(request, body));
  FATHOM_TRY(check_continuation(request));
  if (request.top_logprobs > 0 && !request.logprobs) {
    return invalid_argument("top_logprobs: expected only with logprobs: true", "top_logprobs");
  }
  FATHOM_TRY(apply_reasoning_effort(request));
  FATHOM_TRY(check_tool_choice(request));
  return request;
}

}  // namespace fathom::api
