#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "api/schema_tokenize.h"
#include "base/utf8.h"

namespace fathom::api {

namespace {

// "2023-11-14T22:13:20Z"
std::string rfc3339(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

// For clients of OpenAI (`object`, `created`) and of Anthropic (`type`, `created_at`).
Json model_json(const HandlerContext& context, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", context.options.model.created},
          {"owned_by", "fathom"},
          {"type", "model"},
          {"display_name", name},
          {"created_at", rfc3339(context.options.model.created)},
          {"max_model_len", context.limits().max_context}};
}

template <typename Request>
Result<Request> read_body(const std::string& body, Result<Request> (*read)(const Json&)) {
  FATHOM_ASSIGN(const Json json, parse_json(body));
  return read(json);
}

Result<std::vector<tokenizer::TokenId>> tokenize(const HandlerContext& context,
                                                 const ServedModel& model,
                                                 const TokenizeRequest& request) {
  if (request.prompt) {
    FATHOM_TRY(context.prompts.check_length(request.prompt->size(), "prompt"));
    return context.prompts.text(*request.prompt,
                                {request.add_special_tokens, request.special_tokens});
  }
  FATHOM_ASSIGN(Prompt prompt, context.prompts.chat({request.messages, request.tools.get(),
                                                     request.thinking.value_or(model.thinking),
                                                     request.add_generation_prompt}));
  return std::move(prompt.tokens);
}

}  // namespace

std::optional<ServedModel> HandlerContext::find_model(const std::optional<std::string>& name,
                                                      Reply& reply) const {
  constexpr size_t kMaxNotedBytes = 128;
  reply.record().model = shorten(name.value_or(options.model.id), kMaxNotedBytes);
  if (!name || *name == options.model.id) return ServedModel{options.default_thinking};
  for (const ModelAlias& alias : options.model.aliases) {
    if (alias.name != *name) continue;
    return ServedModel{alias.thinking.value_or(options.default_thinking), alias.thinks_at_default};
  }
  return {};
}

void handle_models(HandlerContext& context, const ReplyPtr& reply) {
  Json data = Json::array({model_json(context, context.options.model.id)});
  for (const ModelAlias& alias : context.options.model.aliases) {
    data.push_back(model_json(context, alias.name));
  }
  Json list = {{"object", "list"}, {"has_more", false}};
  list["first_id"] = data.front()["id"];
  list["last_id"] = data.back()["id"];
  list["data"] = std::move(data);
  reply->send_json(list);
}

void handle_model(HandlerContext& context, const std::string& name, const ReplyPtr& reply) {
  if (!context.find_model(name, *reply)) return reply->send_error(model_not_found(name));
  reply->send_json(model_json(context, name));
}

void handle_tokenize(HandlerContext& context, const std::string& body, const ReplyPtr& reply) {
  const auto request = read_body(body, read_tokenize_request);
  if (!request) return reply->send_error(to_api_error(request.error()));
  const auto model = context.find_model(request->model, *reply);
  if (!model) return reply->send_error(model_not_found(*request->model));
  const auto tokens = tokenize(context, *model, *request);
  if (!tokens) return reply->send_error(prompt_refusal(tokens.error()));
  Json strings;
  if (request->return_token_strs) {
    strings = Json::array();
    for (const auto id : *tokens) {
      strings.push_back(replace_invalid_utf8(context.tokenizer.token_bytes(id)));
    }
  }
  reply->send_json({{"count", tokens->size()},
                    {"max_model_len", context.limits().max_context},
                    {"tokens", *tokens},
                    {"token_strs", std::move(strings)}});
}

void handle_detokenize(HandlerContext& context, const std::string& body, const ReplyPtr& reply) {
  const auto request = read_body(body, read_detokenize_request);
  if (!request) return reply->send_error(to_api_error(request.error()));
  if (!context.find_model(request->model, *reply)) {
    return reply->send_error(model_not_found(*request->model));
  }
  const Status ids = check_token_ids(request->tokens, "tokens", context.limits().vocab_size);
  if (!ids) return reply->send_error(to_api_error(ids.error()));
  reply->send_json({{"prompt", context.tokenizer.decode(request->tokens)}});
}

}  // namespace fathom::api
