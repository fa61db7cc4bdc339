#include "api/anthropic/content_blocks.h"

namespace fathom::api::anthropic {

namespace {

// The arguments of a call. The model may write something that is no JSON object; it is passed on.
Json input_json(const std::string& arguments) {
  auto parsed = parse_json(arguments);
  if (parsed && parsed->is_object()) return std::move(*parsed);
  return arguments.empty() ? Json::object() : Json{{"arguments", arguments}};
}

}  // namespace

void ContentBlocks::add(const OutputDelta& delta) {
  if (delta.content_was_thought) take_back_text();
  if (!delta.reasoning.empty()) add_text("thinking", delta.reasoning);
  if (!delta.content.empty()) add_text("text", delta.content);
  for (const ToolCallDelta& call : delta.tool_calls) add_call(call);
}

// Turns the text so far into a thought. Only for whole answers: streamed text cannot change kind.
void ContentBlocks::take_back_text() {
  if (blocks_.empty()) return;
  const std::string thought = blocks_.back()["text"];
  blocks_.clear();
  open_ = false;
  add_text("thinking", thought);
}

void ContentBlocks::end() {
  // An answer must have more than a thought.
  if (blocks_.empty() || blocks_.back()["type"] == "thinking") add_text("text", "");
  close();
}

// A block of type "text" has its text under "text", one of type "thinking" under "thinking".
void ContentBlocks::add_text(const char* type, const std::string& text) {
  if (!open_ || blocks_.back()["type"] != type) {
    close();
    Json block = {{"type", type}, {type, ""}};
    if (block["type"] == "thinking") block["signature"] = "";
    open(std::move(block));
  }
  blocks_.back()[type].get_ref<std::string&>() += text;
  if (!text.empty()) emit_delta({{"type", std::string(type) + "_delta"}, {type, text}});
}

void ContentBlocks::add_call(const ToolCallDelta& call) {
  if (call.name) {
    close();
    arguments_.clear();
    open({{"type", "tool_use"},
          {"id", call.id.value_or("")},
          {"name", *call.name},
          {"input", Json::object()}});
  }
  if (call.arguments.empty()) return;
  arguments_ += call.arguments;
  emit_delta({{"type", "input_json_delta"}, {"partial_json", call.arguments}});
}

void ContentBlocks::open(Json block) {
  open_ = true;
  blocks_.push_back(std::move(block));
  if (emit_) {
    emit_("content_block_start",
          {{"index", blocks_.size() - 1}, {"content_block", blocks_.back()}});
  }
}

void ContentBlocks::close() {
  if (!open_) return;
  open_ = false;
  Json& block = blocks_.back();
  if (block["type"] == "tool_use") block["input"] = input_json(arguments_);
  if (block["type"] == "thinking") {
    block["signature"] = signature_;
    emit_delta({{"type", "signature_delta"}, {"signature", signature_}});
  }
  if (emit_) emit_("content_block_stop", {{"index", blocks_.size() - 1}});
}

void ContentBlocks::emit_delta(Json delta) const {
  if (!emit_) return;
  emit_("content_block_delta", {{"index", blocks_.size() - 1}, {"delta", std::move(delta)}});
}

}  // namespace fathom::api::anthropic
