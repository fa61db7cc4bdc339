#include "api/chat/handler.h"

#include <nlohmann/json.hpp>

#include "api/chat/answer.h"
#include "api/chat/start.h"

namespace fathom::api {

void handle_chat(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const auto json = parse_json(call.request.body);
  if (!json) return reply->send_error(to_api_error(json.error()));
  const auto request = read_chat(context, *json);
  if (!request) return reply->send_error(to_api_error(request.error()));

  const auto make_answer = [&](const ModelContext& model, int64_t) {
    ChatAnswerOptions options{model.info.id,     request->n,
                              request->stream,   request->include_usage,
                              request->logprobs, context.options.keep_alive};
    return make_chat_answer(std::move(options), TokenWords(model.tokenizer, request->tokens_as_ids),
                            reply);
  };
  start_chat(context, call.caller, *request, {}, make_answer, reply);
}

}  // namespace fathom::api
