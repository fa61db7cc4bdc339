#include "api/info/tokens.h"

#include <nlohmann/json.hpp>

#include "api/context/context.h"
#include "api/schema/tokenize.h"
#include "base/utf8.h"

namespace fathom::api {

namespace {

template <typename Request>
Result<Request> read_body(const std::string& body, Result<Request> (*read)(const Json&)) {
  FATHOM_ASSIGN(const Json json, parse_json(body));
  return read(json);
}

Result<std::vector<tokenizer::TokenId>> tokenize(const ServedModel& model,
                                                 const TokenizeRequest& request) {
  const PromptBuilder& prompts = model.context.prompts;
  if (request.prompt) {
    FATHOM_TRY(prompts.check_length(request.prompt->size(), "prompt"));
    return prompts.text(*request.prompt, {request.add_special_tokens, request.special_tokens});
  }
  FATHOM_ASSIGN(Prompt prompt, prompts.chat({request.messages, request.tools.get(),
                                             request.thinking.value_or(model.thinks),
                                             request.add_generation_prompt}));
  return std::move(prompt.tokens);
}

}  // namespace

void handle_tokenize(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const auto request = read_body(call.request.body, read_tokenize_request);
  if (!request) return reply->send_error(to_api_error(request.error()));
  const auto model = context.find_model(request->model, *reply);
  if (!model) return reply->send_error(model_not_found(*request->model));
  const auto tokens = tokenize(*model, *request);
  if (!tokens) return reply->send_error(prompt_refusal(tokens.error()));
  Json strings;
  if (request->return_token_strs) {
    strings = Json::array();
    for (const auto id : *tokens) {
      strings.push_back(replace_invalid_utf8(model->context.tokenizer.token_bytes(id)));
    }
  }
  reply->send_json({{"count", tokens->size()},
                    {"max_model_len", model->context.limits().max_context},
                    {"tokens", *tokens},
                    {"token_strs", std::move(strings)}});
}

void handle_detokenize(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const auto request = read_body(call.request.body, read_detokenize_request);
  if (!request) return reply->send_error(to_api_error(request.error()));
  const auto model = context.find_model(request->model, *reply);
  if (!model) return reply->send_error(model_not_found(*request->model));
  const int64_t vocab_size = model->context.limits().vocab_size;
  const Status ids = check_token_ids(request->tokens, "tokens", vocab_size);
  if (!ids) return reply->send_error(to_api_error(ids.error()));
  reply->send_json({{"prompt", model->context.tokenizer.decode(request->tokens)}});
}

}  // namespace fathom::api
