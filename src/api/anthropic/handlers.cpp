#include "api/anthropic/handlers.h"

#include <nlohmann/json.hpp>

#include "api/anthropic/answer.h"
#include "api/anthropic/request.h"
#include "api/chat/choices.h"
#include "api/chat/start.h"

namespace fathom::api {

namespace {

// All versions so far mean the same for what is served here, so any date is accepted.
Status check_version(const std::string* version) {
  if (version == nullptr) return {};
  constexpr std::string_view kForm = "0000-00-00";
  bool date = version->size() == kForm.size();
  for (size_t i = 0; date && i < kForm.size(); ++i) {
    const char c = (*version)[i];
    date = kForm[i] == '-' ? c == '-' : c >= '0' && c <= '9';
  }
  if (date) return {};
  return invalid_argument(
      "anthropic-version: expected a date like 2023-06-01, got " + shorten(*version, 40),
      "anthropic-version");
}

struct Asked {
  ChatRequest chat;
  std::vector<std::string> tool_paths;  // of each tool of `chat` within the request
};

Result<Asked> read_request(const HandlerContext& context, const net::HttpRequest& http,
                           bool only_count, Reply& reply) {
  FATHOM_TRY(check_version(http.header("anthropic-version")));
  FATHOM_ASSIGN(const Json json, parse_json(http.body));
  FATHOM_ASSIGN(auto messages, anthropic::read_messages_request(json, only_count));
  auto chat = read_chat(context, messages.chat);
  if (!chat) return anthropic::in_anthropic(chat.error(), messages.tool_paths);
  for (const std::string& text : messages.left_out) reply.add_warning(text);
  return Asked{std::move(*chat), std::move(messages.tool_paths)};
}

}  // namespace

void handle_messages(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const auto request = read_request(context, call.request, false, *reply);
  if (!request) return reply->send_error(to_api_error(request.error()));
  const auto make_answer = [&](const ModelContext& model, int64_t prompt_tokens) {
    return anthropic::make_message_answer(
        {model.info.id, request->chat.stream, prompt_tokens, context.options.keep_alive}, reply);
  };
  const auto rename = [&](Error error) {
    return anthropic::in_anthropic(std::move(error), request->tool_paths);
  };
  start_chat(context, call.caller, request->chat, {"messages", rename}, make_answer, reply);
}

void handle_message_count(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const auto request = read_request(context, call.request, true, *reply);
  if (!request) return reply->send_error(to_api_error(request.error()));
  const auto model = context.find_model(request->chat.model, *reply);
  if (!model) return reply->send_error(model_not_found(*request->chat.model));
  const auto prompt = chat_prompt(*model, request->chat);
  if (!prompt) return reply->send_error(prompt_refusal(prompt.error()));
  reply->send_json({{"input_tokens", prompt->tokens.size()}});
}

}  // namespace fathom::api
