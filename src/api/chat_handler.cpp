#include <nlohmann/json.hpp>

#include "api/chat_answer.h"
#include "api/chat_start.h"

namespace fathom::api {

void handle_chat(HandlerContext& context, const Caller& caller, const std::string& body,
                 const ReplyPtr& reply) {
  const auto json = parse_json(body);
  if (!json) return reply->send_error(to_api_error(json.error()));
  const auto request = read_chat(context, *json);
  if (!request) return reply->send_error(to_api_error(request.error()));

  const auto make_answer = [&](int64_t) {
    ChatAnswerOptions options{context.options.model.id, request->n,
                              request->stream,          request->include_usage,
                              request->logprobs,        context.options.keep_alive};
    return make_chat_answer(std::move(options),
                            TokenWords(context.tokenizer, request->tokens_as_ids), reply);
  };
  start_chat(context, caller, *request, {}, make_answer, reply);
}

}  // namespace fathom::api
