#include <nlohmann/json.hpp>

#include "api/chat_answer.h"
#include "api/chat_choices.h"
#include "api/handlers.h"

namespace fathom::api {

namespace {

Result<ChatRequest> read_request(const HandlerContext& context, const std::string& body) {
  FATHOM_ASSIGN(const Json json, parse_json(body));
  FATHOM_ASSIGN(ChatRequest request, read_chat_request(json));
  FATHOM_TRY(check_token_fields(request, context.limits()));
  return request;
}

}  // namespace

void handle_chat(HandlerContext& context, const std::string& body, const ReplyPtr& reply) {
  const auto request = read_request(context, body);
  if (!request) return reply->send_error(to_api_error(request.error()));
  if (!context.serves(request->model)) return reply->send_error(model_not_found(*request->model));
  auto choices = chat_choices(context, *request);
  if (const auto* error = std::get_if<ApiError>(&choices)) return reply->send_error(*error);

  ChatAnswerOptions options{context.options.model.id, request->n,
                            request->stream,          request->include_usage,
                            request->logprobs,        context.options.keep_alive};
  auto answer = make_chat_answer(std::move(options),
                                 TokenWords(context.tokenizer, request->tokens_as_ids), reply);
  start_generation({context.engine, context.tokenizer, context.markers, context.metrics},
                   std::get<std::vector<ChoiceSpec>>(std::move(choices)), std::move(answer),
                   reply->writer());
}

}  // namespace fathom::api
