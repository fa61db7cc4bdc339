#include "api/prompt/prompt_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/prompt/tool_listing.h"
#include "api/schema/field.h"
#include "api/text/markers.h"

namespace fathom::api {

namespace {

constexpr const char* kProbeName = "name_of_a_function";
constexpr const char* kTooLong = "This model's maximum context length is";

// How the template writes a call; nothing where it cannot take such arguments.
std::optional<std::string> rendered_call(const jinja::ChatTemplate& chat, const Json& arguments) {
  const Json call = {{"id", "call_0"},
                     {"type", "function"},
                     {"function", {{"name", kProbeName}, {"arguments", arguments}}}};
  const Json messages = Json::array(
      {{{"role", "user"}, {"content", "x"}},
       {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({call})}}});
  const auto rendered = chat.render(messages, nullptr, Json::object());
  if (!rendered) return {};
  std::string text;
  for (const auto& piece : *rendered) text += piece.text;
  return text;
}

// Before the separator stands the function's name or, in the older form, what is called.
ToolForm form_of(const std::string& call) {
  const size_t separator = call.find(marker_text(Marker::kCallSeparator));
  const size_t name = call.rfind(kProbeName);
  const bool behind = separator != call.npos && name != call.npos && separator < name;
  return behind ? ToolForm::kFenced : ToolForm::kPlain;
}

bool lists_tools(const jinja::ChatTemplate& chat) {
  const Json function = {{"name", kProbeName},
                         {"description", ""},
                         {"parameters", {{"type", "object"}, {"properties", Json::object()}}}};
  const Json tools = Json::array({{{"type", "function"}, {"function", function}}});
  const Json messages = Json::array({{{"role", "user"}, {"content", "x"}}});
  const auto with = chat.render(messages, &tools, Json::object());
  const auto without = chat.render(messages, nullptr, Json::object());
  const auto text = [](const std::vector<jinja::RenderedPiece>& pieces) {
    std::string joined;
    for (const auto& piece : pieces) joined += piece.text;
    return joined;
  };
  return !with || !without || text(*with) != text(*without);
}

// Templates require parameters, which OpenAI's API omits for functions without any.
Json with_parameters(Json tools) {
  for (Json& tool : tools) {
    Json& function = tool["function"];
    if (find_member(function, "parameters") != nullptr) continue;
    function["parameters"] = {{"type", "object"}, {"properties", Json::object()}};
  }
  return tools;
}

// Adds `text` to the first system message, or puts one in front.
void add_to_system(Json& messages, const std::string& text) {
  for (Json& message : messages) {
    if (message["role"] != "system") continue;
    message["content"] = message["content"].get<std::string>() + "\n\n" + text;
    return;
  }
  messages.insert(messages.begin(), Json{{"role", "system"}, {"content", text}});
}

bool ends_in_thought(const std::vector<jinja::RenderedPiece>& pieces) {
  std::string trusted;
  for (const auto& piece : pieces) {
    if (piece.trusted) trusted += piece.text;
  }
  const size_t begin = trusted.rfind(marker_text(Marker::kThinkBegin));
  const size_t end = trusted.rfind(marker_text(Marker::kThinkEnd));
  return begin != trusted.npos && (end == trusted.npos || end < begin);
}

bool ends_behind_thought(const std::vector<jinja::RenderedPiece>& pieces) {
  return !pieces.empty() && pieces.back().trusted &&
         pieces.back().text.ends_with(marker_text(Marker::kThinkEnd));
}

bool has_text(const std::optional<std::string>& text) {
  return text && !text->empty();
}

// A beginning with a thought thinks, one of content alone does not, whatever the request says.
bool begins_with_thought(const ChatMessage& beginning, bool thinking) {
  return has_text(beginning.reasoning_content) || (thinking && !has_text(beginning.content));
}

// Appends the beginning of an answer to its prompt. Templates cannot do that: they close every
// message.
void append_beginning(const ChatMessage& message, std::vector<jinja::RenderedPiece>& pieces) {
  const auto add = [&pieces](const std::string& text, bool trusted) {
    if (!text.empty()) pieces.push_back({text, trusted});
  };
  if (has_text(message.reasoning_content)) {
    if (!ends_in_thought(pieces)) add(std::string(marker_text(Marker::kThinkBegin)), true);
    add(*message.reasoning_content, false);
  }
  if (has_text(message.content)) {
    if (ends_in_thought(pieces)) add(std::string(marker_text(Marker::kThinkEnd)), true);
    add(*message.content, false);
  }
}

}  // namespace

ApiError prompt_refusal(const Error& error) {
  ApiError refusal = to_api_error(error);
  if (error.message.starts_with(kTooLong)) refusal.code = "context_length_exceeded";
  return refusal;
}

PromptBuilder::PromptBuilder(tokenizer::Tokenizer tokenizer,
                             std::optional<jinja::ChatTemplate> chat, bool add_bos,
                             int64_t max_context)
    : tokenizer_(std::move(tokenizer)),
      template_(std::move(chat)),
      add_bos_(add_bos),
      max_context_(max_context) {
  for (tokenizer::TokenId id = 0; id < tokenizer_.vocab_size(); ++id) {
    longest_token_ = std::max(longest_token_, tokenizer_.token_bytes(id).size());
  }
  if (!template_) return;
  auto call = rendered_call(*template_, {{"x", 1}});
  arguments_as_object_ = call.has_value();
  if (!call) call = rendered_call(*template_, "{\"x\": 1}");
  if (call) tool_form_ = form_of(*call);
  lists_tools_ = lists_tools(*template_);
}

Status PromptBuilder::check_length(size_t bytes, const std::string& path) const {
  if (bytes / std::max<size_t>(1, longest_token_) <= static_cast<size_t>(max_context_)) return {};
  return invalid_argument(
      fmt::format("{} {} tokens. However, your {} resulted in {} bytes of text, which are more "
                  "tokens whatever they are.",
                  kTooLong, max_context_, path.substr(0, path.find('[')), bytes),
      path);
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
  if (!input.continue_final_message) return render(input.messages, input, nullptr);
  std::vector<ChatMessage> before = input.messages;
  const ChatMessage beginning = std::move(before.back());
  before.pop_back();
  return render(before, input, &beginning);
}

Result<Prompt> PromptBuilder::render(const std::vector<ChatMessage>& said, const ChatInput& input,
                                     const ChatMessage* beginning) const {
  if (!template_) {
    return Error{ErrorCode::kUnsupported,
                 "messages: this model has no chat template; use /v1/completions", "messages"};
  }
  // Templates omit parts of earlier answers only, never of other messages.
  size_t bytes = 0;
  for (const ChatMessage& message : said) {
    if (message.role != "assistant" && message.content) bytes += message.content->size();
  }
  FATHOM_TRY(check_length(bytes, "messages"));
  Json messages = Json::array();
  for (const ChatMessage& message : said) messages.push_back(message_json(message));
  Json tools;
  if (input.tools != nullptr) tools = with_parameters(*input.tools);
  if (input.tools != nullptr && !lists_tools_) {
    add_to_system(messages, tool_listing(tools, tool_form_));
  }
  const bool thinking =
      beginning == nullptr ? input.thinking : begins_with_thought(*beginning, input.thinking);
  const Json variables = {
      {"add_generation_prompt", input.add_generation_prompt || beginning != nullptr},
      {"thinking", thinking},
      {"enable_thinking", thinking}};
  auto rendered = template_->render(messages, input.tools == nullptr ? nullptr : &tools, variables);
  if (!rendered) {
    return invalid_argument("messages: " + shorten(rendered.error().message, 300), "messages");
  }
  if (beginning != nullptr) append_beginning(*beginning, *rendered);
  std::vector<tokenizer::Tokenizer::Piece> pieces;
  bytes = 0;
  for (const auto& piece : *rendered) {
    bytes += piece.text.size();
    pieces.push_back({piece.text, piece.trusted});
  }
  FATHOM_TRY(check_length(bytes, "messages"));
  return Prompt{tokenizer_.encode_pieces(pieces), ends_in_thought(*rendered),
                ends_behind_thought(*rendered)};
}

Result<std::vector<tokenizer::TokenId>> PromptBuilder::middle(const std::string& prefix,
                                                              const std::string& suffix) const {
  // Prefix, suffix, middle, as DeepSeek-V3 was trained (DeepSeek-V3 report, section 4.1).
  const auto begin = tokenizer_.token_to_id("<｜fim▁begin｜>");
  const auto hole = tokenizer_.token_to_id("<｜fim▁hole｜>");
  const auto end = tokenizer_.token_to_id("<｜fim▁end｜>");
  if (!begin || !hole || !end) {
    return Error{ErrorCode::kUnsupported,
                 "suffix: this model's tokenizer has no tokens for filling in the middle",
                 "suffix"};
  }
  std::vector<tokenizer::TokenId> tokens;
  const auto add = [&](tokenizer::TokenId marker, const std::string& text) {
    tokens.push_back(marker);
    const auto ids = tokenizer_.encode(text);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  };
  if (const auto bos = tokenizer_.bos(); add_bos_ && bos) tokens.push_back(*bos);
  add(*begin, prefix);
  add(*hole, suffix);
  tokens.push_back(*end);
  return tokens;
}

std::vector<tokenizer::TokenId> PromptBuilder::text(const std::string& text,
                                                    TextOptions options) const {
  std::vector<tokenizer::TokenId> tokens =
      options.special_tokens ? tokenizer_.encode_with_added_tokens(text) : tokenizer_.encode(text);
  const auto bos = tokenizer_.bos();
  const bool wanted = options.add_first_token && add_bos_ && bos;
  if (wanted && (tokens.empty() || tokens.front() != *bos)) tokens.insert(tokens.begin(), *bos);
  return tokens;
}

}  // namespace fathom::api
