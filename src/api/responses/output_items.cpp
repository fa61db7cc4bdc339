#include "api/responses/output_items.h"

#include <nlohmann/json.hpp>

#include "api/ids.h"

namespace fathom::api::responses {

void OutputItems::add(const OutputDelta& delta) {
  if (delta.content_was_thought) take_back_message();
  if (!delta.reasoning.empty()) add_text(Kind::kReasoning, delta.reasoning, Json::array());
  Json logprobs = take_logprobs(delta);
  if (!delta.content.empty() || !logprobs.empty()) {
    add_text(Kind::kMessage, delta.content, std::move(logprobs));
  }
  for (const ToolCallDelta& call : delta.tool_calls) add_call(call);
}

// The message so far is a thought. Not in streams, where no delta says so.
void OutputItems::take_back_message() {
  if (items_.empty()) return;
  const std::string thought = item()["content"][0]["text"];
  items_.clear();
  kind_ = Kind::kNone;
  add_text(Kind::kReasoning, thought, Json::array());
}

void OutputItems::end(bool incomplete) {
  if (kind_ == Kind::kNone || kind_ == Kind::kReasoning) {
    add_text(Kind::kMessage, "", Json::array());
  }
  close(incomplete ? "incomplete" : "completed");
}

Json OutputItems::take_logprobs(const OutputDelta& delta) const {
  Json list = Json::array();
  if (words_ == nullptr) return list;
  for (const TokenRecord& token : delta.tokens) {
    if (!token.reasoning) list.push_back(chat_token_json(*words_, token.logprob));
  }
  return list;
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
  if (call.name) {
    close("completed");
    open(Kind::kCall, {{"id", random_id("fc_")},
                       {"type", "function_call"},
                       {"status", "in_progress"},
                       {"call_id", call.id.value_or("")},
                       {"name", *call.name},
                       {"arguments", ""}});
  }
  if (kind_ != Kind::kCall || call.arguments.empty()) return;
  item()["arguments"].get_ref<std::string&>() += call.arguments;
  Json event = place();
  event["delta"] = call.arguments;
  emit("response.function_call_arguments.delta", std::move(event));
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
  item()["status"] = status;
  if (kind_ == Kind::kCall) {
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
