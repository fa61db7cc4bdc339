#include "api/context/context.h"

#include <utility>

namespace fathom::api {

ModelContext::ModelContext(engine::Engine& served, tokenizer::Tokenizer words,
                           std::optional<jinja::ChatTemplate> chat, const ApiOptions& options)
    : engine(served),
      tokenizer(std::move(words)),
      prompts(tokenizer, std::move(chat), options.add_bos_token, engine.max_context()),
      markers(tokenizer),
      grammars(tokenizer),
      info(options.model),
      thinks(options.default_thinking) {}

HandlerContext::HandlerContext(engine::Engine& engine, tokenizer::Tokenizer tokenizer,
                               std::optional<jinja::ChatTemplate> chat,
                               const ApiOptions& api_options, std::string description)
    : model(engine, std::move(tokenizer), std::move(chat), api_options),
      options(api_options),
      openapi(std::move(description)),
      metrics({.model = options.model.id,
               .version = options.version,
               .each_expert = options.expert_metrics,
               .max_waiting = options.max_waiting,
               .max_context = engine.max_context()}),
      log(metrics, options.request_log),
      responses(std::make_shared<responses::ResponseStore>(options.stored_responses)),
      answer_memory(options.answer_memory_bytes) {}

GenerationTools HandlerContext::tools(ModelContext& served, const Caller& caller,
                                      const Reply& reply) {
  return {served.engine,
          served.tokenizer,
          served.markers,
          metrics,
          answer_memory,
          caller,
          options.share_prefix_cache,
          reply.shared_record(),
          reply.wants_texts()};
}

std::optional<ServedModel> HandlerContext::find_model(const std::optional<std::string>& name,
                                                      Reply& reply) {
  constexpr size_t kMaxNotedBytes = 128;
  reply.record().model = shorten(name.value_or(model.info.id), kMaxNotedBytes);
  if (!name || *name == model.info.id) return ServedModel{model, model.thinks};
  for (const ModelAlias& alias : model.info.aliases) {
    if (alias.name != *name) continue;
    return ServedModel{model, alias.thinking.value_or(model.thinks), alias.thinks_at_default};
  }
  return {};
}

std::optional<ApiError> HandlerContext::unavailable() const {
  if (ready && !shutting_down) return std::nullopt;
  return to_api_error({ErrorCode::kUnavailable, shutting_down ? "the server is shutting down"
                                                              : "the server is not ready yet"});
}

}  // namespace fathom::api
