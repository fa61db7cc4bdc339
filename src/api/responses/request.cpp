#include "api/responses/request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/responses/input_items.h"
#include "api/schema/dialect.h"
#include "api/text/text_search.h"

namespace fathom::api::responses {

namespace {

using R = ResponsesRequest;

constexpr size_t kMaxIncludes = 64;
// OpenAI's: pairs, and characters of each.
constexpr size_t kMaxMetadata = 16;
constexpr size_t kMaxMetadataKey = 64;
constexpr size_t kMaxMetadataText = 512;
constexpr size_t kMaxEchoBytes = size_t{8} << 20;
constexpr size_t kMaxHint = 512;  // characters of what is only repeated

Status take_tools(const Json& value, const std::string& path, R& request) {
  FATHOM_ASSIGN(request.tools, read_tools(value, path));
  request.echo["tools"] = std::move(request.tools.echo);
  request.chat["tools"] = std::move(request.tools.chat);
  return {};
}

Status take_tool_choice(const Json& value, const std::string& path, R& request) {
  request.echo["tool_choice"] = value;
  FATHOM_ASSIGN(request.chat["tool_choice"], read_tool_choice(value, path));
  return {};
}

Status read_text(const Json& value, const std::string& path, R& request) {
  if (!value.is_object()) return expected(path, "an object", value);
  request.echo["text"] = value;
  const Json* format = find_member(value, "format");
  if (format == nullptr) {
    request.echo["text"]["format"] = {{"type", "text"}};
    return {};
  }
  const std::string format_path = key_path(path, "format");
  if (!format->is_object()) return expected(format_path, "an object with a type", *format);
  FATHOM_ASSIGN(const std::string type, required_string(*format, "type", format_path));
  Json chat = {{"type", type}};
  if (type == "json_schema") {
    chat["json_schema"] = *format;
    chat["json_schema"].erase("type");
  }
  request.chat["response_format"] = std::move(chat);
  return {};
}

Status read_reasoning(const Json& value, const std::string& path, R& request) {
  if (!value.is_object()) return expected(path, "an object", value);
  for (const char* name : {"effort", "summary"}) {
    if (const Json* member = find_member(value, name)) {
      FATHOM_ASSIGN(const std::string text,
                    read_short_string(*member, key_path(path, name), kMaxHint));
      request.echo["reasoning"][name] = text;
    }
  }
  const Json* effort = find_member(value, "effort");
  if (effort == nullptr) return {};
  request.chat["reasoning_effort"] = *effort;
  request.chat["thinking"] = {{"type", *effort == "none" ? "disabled" : "enabled"}};
  return {};
}

Status read_include(const Json& value, const std::string& path, R& request) {
  return read_array(value, path, kMaxIncludes,
                    [&](const Json& item, const std::string& at) -> Status {
                      FATHOM_ASSIGN(const std::string name, read_string(item, at));
                      if (name == "message.output_text.logprobs") request.logprobs = true;
                      return {};
                    });
}

Status read_metadata(const Json& value, const std::string& path, R& request) {
  if (!value.is_object()) return expected(path, "an object", value);
  if (value.size() > kMaxMetadata) {
    return invalid_argument(
        fmt::format("{}: expected at most {} keys, got {}", path, kMaxMetadata, value.size()),
        path);
  }
  for (const auto& [key, text] : value.items()) {
    const std::string at = key_path(path, shorten(key, kMaxMetadataKey));
    if (count_characters(key) > kMaxMetadataKey) {
      return invalid_argument(fmt::format("{}: expected a key of at most {} characters, got {}", at,
                                          kMaxMetadataKey, count_characters(key)),
                              at);
    }
    FATHOM_TRY(read_short_string(text, at, kMaxMetadataText));
  }
  request.echo["metadata"] = value;
  return {};
}

Status read_truncation(const Json& value, const std::string& path, R&) {
  if (value == "disabled") return {};
  if (value == "auto") return unsupported(path, "expected \"disabled\", got \"auto\"");
  return expected(path, "\"disabled\"", value);
}

Status read_background(const Json& value, const std::string& path, R&) {
  FATHOM_ASSIGN(const bool background, read_bool(value, path));
  if (background) return unsupported(path, "expected false; responses are not made in background");
  return {};
}

// A chat field whose value the response repeats.
Field<R> echoed(const char* name, const char* chat_name) {
  Field<R> field = as_chat_field<R>(name, chat_name);
  return {field.info, [name, read = std::move(field.read)](const Json& value,
                                                           const std::string& path, R& request) {
            request.echo[name] = value;
            return read(value, path, request);
          }};
}

Field<R> echoed_string(const char* name, const char* help) {
  return {{name, "string", help},
          [name](const Json& value, const std::string& path, R& request) -> Status {
            FATHOM_ASSIGN(request.echo[name], read_short_string(value, path, kMaxHint));
            return {};
          }};
}

FieldTable<R> own_fields() {
  return {
      {{"input", "string or array",
        "Text, or items: message, function_call, custom_tool_call, their outputs, reasoning."},
       [](const Json& value, const std::string& path, R& request) -> Status {
         FATHOM_ASSIGN(request.input, read_input(value, path));
         return {};
       }},
      string_field<R>("instructions", &R::instructions, "",
                      "Comes first, as a system message; not kept for the next response."),
      string_field<R>("previous_response_id", &R::previous_response_id, "",
                      "A stored response whose conversation this one goes on with."),
      bool_field<R>("store", &R::store, "true", "Keep the response for a later one, or for GET."),
      {{"tools", "array",
        "Functions and custom tools that the model may call, and namespaces of them; others are "
        "left out."},
       take_tools},
      {{"tool_choice", "string or object",
        "As for chat; a function or custom tool is {type, name}, allowed tools {type, mode, "
        "tools}.",
        "auto"},
       take_tool_choice},
      {{"text", "object", "format: what response_format is for chat."}, read_text},
      {{"reasoning", "object", "effort: how much to think; none: not at all."}, read_reasoning},
      {{"include", "array", "message.output_text.logprobs adds log-probabilities."}, read_include},
      {{"metadata", "object", "Texts that the response repeats."}, read_metadata},
      {{"truncation", "string", "Only disabled.", "disabled"}, read_truncation},
      {{"background", "boolean", "Only false.", "false"}, read_background},
      echoed_string("prompt_cache_key", "As for chat; repeated in the response."),
      echoed_string("safety_identifier", "The end user; not used."),
      echoed_string("user", "The end user; not used."),
      refused_field<R>("conversation", "string or object", "not supported; use input"),
      refused_field<R>("prompt", "object", "not supported; use instructions"),
  };
}

FieldTable<R> make_table() {
  FieldTable<R> table = own_fields();
  for (const char* name : {"temperature", "top_p", "top_logprobs", "parallel_tool_calls"}) {
    table.push_back(echoed(name, name));
  }
  table.push_back(echoed("max_output_tokens", "max_completion_tokens"));
  for (const char* name :
       {"model", "stream", "seed", "stop", "top_k", "min_p", "presence_penalty",
        "frequency_penalty", "repetition_penalty", "logit_bias", "min_tokens", "stop_token_ids",
        "ignore_eos", "thinking", "chat_template_kwargs", "priority", "cache_salt"}) {
    table.push_back(as_chat_field<R>(name));
  }
  return table;
}

Json echo_of_nothing() {
  return {{"background", false},
          {"instructions", nullptr},
          {"max_output_tokens", nullptr},
          {"metadata", Json::object()},
          {"parallel_tool_calls", true},
          {"previous_response_id", nullptr},
          {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
          {"service_tier", "default"},
          {"store", true},
          {"temperature", 1.0},
          {"text", {{"format", {{"type", "text"}}}}},
          {"tool_choice", "auto"},
          {"tools", Json::array()},
          {"top_logprobs", 0},
          {"top_p", 1.0},
          {"truncation", "disabled"}};
}

// Repeated fields are stored with the response, and the context does not bound them: these do.
Status check_echo(const Json& echo) {
  const size_t bytes = dump_json(echo).size();
  if (bytes <= kMaxEchoBytes) return {};
  return invalid_argument(
      fmt::format("tools: expected at most {} bytes of JSON, text and tool_choice included, got {}",
                  kMaxEchoBytes, bytes),
      "tools");
}

}  // namespace

const FieldTable<ResponsesRequest>& responses_field_table() {
  static const FieldTable<ResponsesRequest> table = make_table();
  return table;
}

Error in_responses(Error error, const std::vector<std::string>& tool_paths) {
  return in_dialect(at_tool(std::move(error), tool_paths),
                    {{"max_completion_tokens", "max_output_tokens"},
                     {"response_format.json_schema", "text.format"},
                     {"response_format", "text.format"},
                     {"reasoning_effort", "reasoning.effort"},
                     {"tool_choice.allowed_tools", "tool_choice"},
                     {".function", ""}});
}

Result<ResponsesRequest> read_responses_request(const Json& body) {
  if (!body.is_object()) return expected("request body", "an object", body);
  ResponsesRequest request;
  request.chat = Json::object();
  request.echo = echo_of_nothing();
  request.input = Json::array();
  FATHOM_TRY(read_fields(responses_field_table(), body, "", request));
  if (request.input.empty() && !request.previous_response_id) {
    return invalid_argument("input: expected a string or an array of items, got nothing", "input");
  }
  FATHOM_TRY(check_echo(request.echo));
  request.echo["store"] = request.store;
  if (request.instructions) request.echo["instructions"] = *request.instructions;
  if (request.previous_response_id) {
    request.echo["previous_response_id"] = *request.previous_response_id;
  }
  // A number of likeliest tokens alone asks for them, too.
  const Json* top = find_member(body, "top_logprobs");
  if (top != nullptr && *top != 0) request.logprobs = true;
  if (request.logprobs) request.chat["logprobs"] = true;
  return request;
}

}  // namespace fathom::api::responses
