#include "api/responses/output_items.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "api/text/ids.h"

namespace fathom::api::responses {

void OutputItems::add(const OutputDelta& delta) {
  if (delta.content_was_thought) take_back_message();
  if (!delta.reasoning.empty()) add_text(Kind::kReasoning, delta.reasoning, Json::array());
  keep_logprobs(delta);
  // A token may bring no text, for example half a character: its log-probability waits for the
  // text.
  const bool more = kind_ == Kind::kMessage && delta.tool_calls.empty() && !logprobs_.empty();
  if (!delta.content.empty() || more) {
    add_text(Kind::kMessage, delta.content, std::exchange(logprobs_, Json::array()));
  }
  for (const ToolCallDelta& call : delta.tool_calls) add_call(call);
  if (kind_ == Kind::kCall || kind_ == Kind::kCustomCall) logprobs_ = Json::array();
}

// Turns the message so far into a thought. Only for whole answers: streamed text cannot change
// kind.
void OutputItems::take_back_message() {
  if (items_.empty()) return;
  const std::string thought = item()["content"][0]["text"];
  items_.clear();
  kind_ = Kind::kNone;
  add_text(Kind::kReasoning, thought, Json::array());
}

void OutputItems::end(bool incomplete) {
  if (kind_ == Kind::kNone || kind_ == Kind::kReasoning) {
    add_text(Kind::kMessage, "", std::exchange(logprobs_, Json::array()));
  }
  close(incomplete ? "incomplete" : "completed");
}

void OutputItems::keep_logprobs(const OutputDelta& delta) {
  if (words_ == nullptr) return;
  for (const TokenRecord& token : delta.tokens) {
    if (!token.reasoning) logprobs_.push_back(chat_token_json(*words_, token.logprob));
  }
}

void OutputItems::add_text(Kind kind, const std::string& text, Json logprobs) {
  if (kind_ != kind) {
    close("completed");
    if (kind == Kind::kReasoning) {
      open(kind, {{"id", random_id("rs_")},
                  {"type", "reasoning"},
                  {"status", "in_progress"},
                  {"summary", Json::array()},
                  {"content", Json::array()}});
      open_part({{"type", "reasoning_text"}, {"text", ""}});
    } else {
      open(kind, {{"id", random_id("msg_")},
                  {"type", "message"},
                  {"status", "in_progress"},
                  {"role", "assistant"},
                  {"content", Json::array()}});
      open_part({{"type", "output_text"},
                 {"text", ""},
                 {"annotations", Json::array()},
                 {"logprobs", Json::array()}});
    }
  }
  Json& part = item()["content"][0];
  part["text"].get_ref<std::string&>() += text;
  Json event = place();
  event["content_index"] = 0;
  event["delta"] = text;
  if (kind == Kind::kMessage) {
    for (const Json& token : logprobs) part["logprobs"].push_back(token);
    event["logprobs"] = std::move(logprobs);
  }
  emit(text_event("response.reasoning_text.delta", "response.output_text.delta"), std::move(event));
}

void OutputItems::add_call(const ToolCallDelta& call) {
  if (call.name) open_call(call);
  if (call.arguments.empty()) return;
  if (kind_ == Kind::kCall) add_arguments(call.arguments);
  if (kind_ == Kind::kCustomCall) add_input(input_.take(call.arguments));
}

void OutputItems::open_call(const ToolCallDelta& call) {
  close("completed");
  const auto known = tools_.find(*call.name);
  const ClientTool tool = known == tools_.end() ? ClientTool{*call.name} : known->second;
  Json item = {{"id", random_id(tool.custom ? "ctc_" : "fc_")},
               {"type", tool.custom ? "custom_tool_call" : "function_call"},
               {"status", "in_progress"},
               {"call_id", call.id.value_or("")},
               {"name", tool.name},
               {tool.custom ? "input" : "arguments", ""}};
  if (!tool.group.empty()) item["namespace"] = tool.group;
  input_ = {};
  open(tool.custom ? Kind::kCustomCall : Kind::kCall, std::move(item));
}

void OutputItems::add_arguments(const std::string& arguments) {
  item()["arguments"].get_ref<std::string&>() += arguments;
  Json event = place();
  event["delta"] = arguments;
  emit("response.function_call_arguments.delta", std::move(event));
}

void OutputItems::add_input(const std::string& text) {
  if (text.empty()) return;
  item()["input"].get_ref<std::string&>() += text;
  Json event = place();
  event["delta"] = text;
  emit("response.custom_tool_call_input.delta", std::move(event));
}

void OutputItems::open(Kind kind, Json item) {
  kind_ = kind;
  items_.push_back(std::move(item));
  emit("response.output_item.added",
       {{"output_index", items_.size() - 1}, {"item", items_.back()}});
}

void OutputItems::open_part(Json part) {
  item()["content"].push_back(part);
  Json event = place();
  event["content_index"] = 0;
  event["part"] = std::move(part);
  emit("response.content_part.added", std::move(event));
}

void OutputItems::close(const char* status) {
  if (kind_ == Kind::kNone) return;
  if (kind_ == Kind::kCustomCall) add_input(input_.finish());
  item()["status"] = status;
  if (kind_ == Kind::kCall || kind_ == Kind::kCustomCall) {
    close_call();
  } else {
    close_text();
  }
  emit("response.output_item.done", {{"output_index", items_.size() - 1}, {"item", item()}});
}

void OutputItems::close_text() {
  const Json& part = item()["content"][0];
  Json event = place();
  event["content_index"] = 0;
  Json done = event;
  done["text"] = part["text"];
  if (kind_ == Kind::kMessage) done["logprobs"] = part["logprobs"];
  emit(text_event("response.reasoning_text.done", "response.output_text.done"), std::move(done));
  event["part"] = part;
  emit("response.content_part.done", std::move(event));
}

void OutputItems::close_call() {
  Json event = place();
  if (kind_ == Kind::kCustomCall) {
    event["input"] = item()["input"];
    return emit("response.custom_tool_call_input.done", std::move(event));
  }
  event["name"] = item()["name"];
  event["arguments"] = item()["arguments"];
  emit("response.function_call_arguments.done", std::move(event));
}

Json OutputItems::place() const {
  return {{"item_id", items_.back()["id"]}, {"output_index", items_.size() - 1}};
}

const char* OutputItems::text_event(const char* reasoning, const char* message) const {
  return kind_ == Kind::kReasoning ? reasoning : message;
}

void OutputItems::emit(const char* type, Json event) const {
  if (emit_) emit_(type, std::move(event));
}

}  // namespace fathom::api::responses
