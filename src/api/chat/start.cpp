#include "api/chat/start.h"

#include <nlohmann/json.hpp>

namespace fathom::api {

Result<ChatRequest> read_chat(const HandlerContext& context, const Json& body) {
  FATHOM_ASSIGN(ChatRequest request, read_chat_request(body));
  FATHOM_TRY(check_token_fields(request, context.model.limits()));
  return request;
}

void start_chat(HandlerContext& context, const Caller& caller, const ChatRequest& request,
                const ChatNames& names, const MakeAnswer& make_answer, const ReplyPtr& reply) {
  const auto model = context.find_model(request.model, *reply);
  if (!model) return reply->send_error(model_not_found(*request.model));
  auto choices = chat_choices(context, *model, request, names, reply->budget());
  if (const auto* error = std::get_if<ApiError>(&choices)) return reply->send_error(*error);
  auto& specs = std::get<std::vector<ChoiceSpec>>(choices);
  warn_of_notes(specs.front().request.grammar, *reply);
  const auto prompt_tokens = static_cast<int64_t>(specs.front().request.prompt.size());
  start_generation(context.tools(model->context, caller, *reply), std::move(specs),
                   make_answer(model->context, prompt_tokens), reply->writer());
}

}  // namespace fathom::api
