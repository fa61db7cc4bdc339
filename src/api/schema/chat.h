// The body of POST /v1/chat/completions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/schema/generation.h"

namespace fathom::api {

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON as text, as written by whoever made the call
};

struct ChatMessage {
  std::string role;                    // system, user, assistant or tool
  std::optional<std::string> content;  // text parts are joined by line breaks
  std::optional<std::string> name;
  std::optional<std::string> reasoning_content;
  std::optional<std::string> tool_call_id;
  std::vector<ToolCall> tool_calls;
  bool prefix = false;  // of an assistant's: its answer is to be continued
};

enum class ToolChoice { kAuto, kNone, kRequired };

struct ChatRequest : GenerationFields {
  std::vector<ChatMessage> messages;
  std::shared_ptr<const Json> tools;  // the array as given, checked; null if there is none
  std::vector<std::string> tool_names;
  ToolChoice tool_choice = ToolChoice::kAuto;
  // The tools that may be called, where that is not all of them.
  std::optional<std::vector<std::string>> callable_tools;
  std::string callable_path;  // of the field that says so
  bool parallel_tool_calls = true;
  std::optional<bool> thinking;
  std::optional<int64_t> thinking_budget;  // tokens; then the thought is closed
  std::optional<std::string> reasoning_effort;
  bool continue_final_message = false;  // `prefix` of the last message says the same
  bool logprobs = false;
  int32_t top_logprobs = 0;
};

// What reasoning_effort says of `thinking` and `thinking_budget` where they say nothing themselves.
Status apply_reasoning_effort(ChatRequest& request);

// That tools and tool_choice fit each other.
Status check_tool_choice(const ChatRequest& request);

// Reads and checks the whole body.
Result<ChatRequest> read_chat_request(const Json& body);

const FieldTable<ChatRequest>& chat_field_table();

// Shared with /tokenize, which takes messages, tools and thinking alike.
Status read_messages(const Json& value, const std::string& path,
                     std::vector<ChatMessage>& messages);
Status read_tools(const Json& value, const std::string& path, std::shared_ptr<const Json>& tools,
                  std::vector<std::string>& names);
// chat_template_kwargs: of them only `thinking` and `enable_thinking` reach the template.
Status read_template_kwargs(const Json& value, const std::string& path,
                            std::optional<bool>& thinking);

}  // namespace fathom::api
