#include "api/prompt_builder.h"

#include <nlohmann/json.hpp>

#include "api/markers.h"

namespace fathom::api {

namespace {

bool takes_arguments_as_object(const tokenizer::ChatTemplate& chat) {
  const Json call = {{"id", "call_0"},
                     {"type", "function"},
                     {"function", {{"name", "f"}, {"arguments", {{"x", 1}}}}}};
  const Json messages = Json::array(
      {{{"role", "user"}, {"content", "x"}},
       {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({call})}}});
  return chat.render(messages, nullptr, Json::object()).ok();
}

bool ends_in_thought(const std::vector<tokenizer::RenderedPiece>& pieces) {
  std::string trusted;
  for (const auto& piece : pieces) {
    if (piece.trusted) trusted += piece.text;
  }
  const size_t begin = trusted.rfind(marker_text(Marker::kThinkBegin));
  const size_t end = trusted.rfind(marker_text(Marker::kThinkEnd));
  return begin != trusted.npos && (end == trusted.npos || end < begin);
}

}  // namespace

PromptBuilder::PromptBuilder(tokenizer::Tokenizer tokenizer,
                             std::optional<tokenizer::ChatTemplate> chat, bool add_bos)
    : tokenizer_(std::move(tokenizer)), template_(std::move(chat)), add_bos_(add_bos) {
  if (template_) arguments_as_object_ = takes_arguments_as_object(*template_);
}

Json PromptBuilder::message_json(const ChatMessage& message) const {
  Json json = {{"role", message.role}};
  if (message.tool_calls.empty()) {
    json["content"] = message.content.value_or("");
  } else {
    // V3's template writes the calls of an assistant's message only if its content is none.
    const bool none = !message.content || message.content->empty();
    json["content"] = none ? Json() : Json(*message.content);
  }
  if (message.name) json["name"] = *message.name;
  if (message.reasoning_content) json["reasoning_content"] = *message.reasoning_content;
  if (message.tool_call_id) json["tool_call_id"] = *message.tool_call_id;
  for (const ToolCall& call : message.tool_calls) {
    Json arguments = call.arguments;
    if (arguments_as_object_) {
      if (auto parsed = parse_json(call.arguments); parsed && parsed->is_object()) {
        arguments = std::move(*parsed);
      }
    }
    json["tool_calls"].push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}});
  }
  return json;
}

Result<Prompt> PromptBuilder::chat(const ChatInput& input) const {
  if (!template_) {
    return Error{ErrorCode::kUnsupported,
                 "messages: this model has no chat template; use /v1/completions", "messages"};
  }
  Json messages = Json::array();
  for (const ChatMessage& message : input.messages) messages.push_back(message_json(message));
  const Json variables = {{"add_generation_prompt", input.add_generation_prompt},
                          {"thinking", input.thinking},
                          {"enable_thinking", input.thinking}};
  const auto rendered = template_->render(messages, input.tools, variables);
  if (!rendered) {
    return invalid_argument("messages: " + shorten(rendered.error().message, 300), "messages");
  }
  std::vector<tokenizer::Tokenizer::Piece> pieces;
  for (const auto& piece : *rendered) pieces.push_back({piece.text, piece.trusted});
  return Prompt{tokenizer_.encode_pieces(pieces), ends_in_thought(*rendered)};
}

std::vector<tokenizer::TokenId> PromptBuilder::text(const std::string& text,
                                                    bool add_special_tokens) const {
  std::vector<tokenizer::TokenId> tokens = tokenizer_.encode(text);
  const auto bos = tokenizer_.bos();
  if (add_special_tokens && add_bos_ && bos) tokens.insert(tokens.begin(), *bos);
  return tokens;
}

}  // namespace fathom::api
