// What handlers work with: the model that is served, and what all requests share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/context/model_alias.h"
#include "api/context/response_store.h"
#include "api/context/sampling_request.h"
#include "api/grammars/answer_grammars.h"
#include "api/http/edge.h"
#include "api/http/metrics.h"
#include "api/http/reply.h"
#include "api/http/request_log.h"
#include "api/output/answer_memory.h"
#include "api/output/generation.h"
#include "api/prompt/prompt_builder.h"
#include "engine/engine.h"
#include "jinja/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

struct ModelInfo {
  std::string id;  // as answers and /v1/models name it
  std::vector<ModelAlias> aliases;
  int64_t created = 0;  // seconds since 1970
};

struct ApiOptions {
  ModelInfo model;
  std::string version;
  bool default_thinking = false;  // where a chat request does not say
  // Chat answers without max_tokens; by default the rest of the context.
  std::optional<int64_t> default_max_tokens;
  // Text prompts begin with the model's first token (add_bos_token of tokenizer_config.json).
  bool add_bos_token = true;
  size_t max_body_bytes = 16 << 20;
  responses::StoreLimits stored_responses;  // of /v1/responses
  int max_choices = 1024;                   // of one request: prompts times n
  // Of all answers with log-probabilities that are kept until they are whole.
  size_t answer_memory_bytes = size_t{2} << 30;
  int64_t max_waiting = 2048;                    // the engine's; x-ratelimit headers tell it
  std::chrono::milliseconds keep_alive{10'000};  // between comments in a silent stream
  bool expert_metrics = false;                   // /metrics has a counter for each expert
  // Prompts find what those of other keys' owners left in the prefix cache, which is faster where
  // they begin alike, and lets an owner learn how others' prompts begin.
  bool share_prefix_cache = false;
  EdgeOptions edge;
  bool tls = false;  // whether the server speaks TLS
  RequestLogOptions request_log;
  // For /metrics: what this engine has sent to others.
  std::function<engine::KvTransferStats()> kv_sent = [] { return engine::KvTransferStats(); };
};

// A model: its engine, and what turns requests into its tokens and back.
struct ModelContext {
  ModelContext(engine::Engine& engine, tokenizer::Tokenizer tokenizer,
               std::optional<jinja::ChatTemplate> chat, const ApiOptions& options);

  ModelLimits limits() const { return {engine.vocab_size(), engine.max_context()}; }

  engine::Engine& engine;
  tokenizer::Tokenizer tokenizer;
  PromptBuilder prompts;
  MarkerTable markers;
  AnswerGrammars grammars;
  ModelInfo info;
  bool thinks = false;  // where a chat request does not say
};

// A model under one of its names.
struct ServedModel {
  ModelContext& context;
  bool thinks = false;             // where a chat request does not say
  bool thinks_at_default = false;  // ModelAlias
};

struct HandlerContext {
  // `openapi`: the API's description, as JSON.
  HandlerContext(engine::Engine& engine, tokenizer::Tokenizer tokenizer,
                 std::optional<jinja::ChatTemplate> chat, const ApiOptions& options,
                 std::string openapi);

  GenerationTools tools(ModelContext& served, const Caller& caller, const Reply& reply);
  // What a request's `model` stands for; an absent name is the served model's. Nothing if no model
  // has that name. The record of `reply` takes note of it.
  std::optional<ServedModel> find_model(const std::optional<std::string>& name, Reply& reply);
  // Why the server takes no work, if it takes none.
  std::optional<ApiError> unavailable() const;

  ModelContext model;
  const ApiOptions options;
  const std::string openapi;
  Metrics metrics;
  RequestLog log;
  std::shared_ptr<responses::ResponseStore> responses;
  AnswerMemory answer_memory;
  std::atomic<bool> ready = false;
  std::atomic<bool> shutting_down = false;
};

}  // namespace fathom::api
