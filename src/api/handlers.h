// What each route does. A handler answers through its Reply, at once or later.
#pragma once

#include <memory>
#include <string>

#include "api/answer_grammars.h"
#include "api/generation.h"
#include "api/metrics.h"
#include "api/prompt_builder.h"
#include "api/reply.h"
#include "api/sampling_request.h"
#include "api/service.h"

namespace fathom::api {

struct HandlerContext {
  engine::Engine& engine;
  tokenizer::Tokenizer tokenizer;
  PromptBuilder prompts;
  MarkerTable markers;
  ApiOptions options;
  Metrics metrics;
  AnswerGrammars grammars;

  ModelLimits limits() const { return {engine.vocab_size(), engine.max_context()}; }
  // An absent name means the model that is served.
  bool serves(const std::optional<std::string>& model) const;
};

using ReplyPtr = std::shared_ptr<Reply>;

void handle_chat(HandlerContext& context, const std::string& body, const ReplyPtr& reply);
void handle_completion(HandlerContext& context, const std::string& body, const ReplyPtr& reply);
void handle_tokenize(HandlerContext& context, const std::string& body, const ReplyPtr& reply);
void handle_detokenize(HandlerContext& context, const std::string& body, const ReplyPtr& reply);
void handle_models(HandlerContext& context, const ReplyPtr& reply);
void handle_model(HandlerContext& context, const std::string& name, const ReplyPtr& reply);

}  // namespace fathom::api
