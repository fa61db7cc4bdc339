// What each route does. A handler answers through its Reply, at once or later.
#pragma once

#include <memory>
#include <string>

#include "api/answer_grammars.h"
#include "api/caller.h"
#include "api/generation.h"
#include "api/metrics.h"
#include "api/prompt_builder.h"
#include "api/reply.h"
#include "api/responses/store.h"
#include "api/sampling_request.h"
#include "api/service.h"
#include "net/http.h"

namespace fathom::api {

// The model under one of its names.
struct ServedModel {
  bool thinking = false;           // where a chat request does not say
  bool thinks_at_default = false;  // ModelAlias
};

struct HandlerContext {
  engine::Engine& engine;
  tokenizer::Tokenizer tokenizer;
  PromptBuilder prompts;
  MarkerTable markers;
  ApiOptions options;
  Metrics metrics;
  RequestLog log;
  AnswerGrammars grammars;
  std::shared_ptr<responses::ResponseStore> responses;
  AnswerMemory answer_memory;

  GenerationTools tools(const Caller& caller, const Reply& reply) {
    return {engine,
            tokenizer,
            markers,
            metrics,
            answer_memory,
            caller,
            options.share_prefix_cache,
            reply.shared_record(),
            reply.wants_texts()};
  }
  ModelLimits limits() const { return {engine.vocab_size(), engine.max_context()}; }
  // What a request's `model` stands for; an absent name is the served model's. Nothing if no model
  // has that name. The record of `reply` takes note of it.
  std::optional<ServedModel> find_model(const std::optional<std::string>& name, Reply& reply) const;
};

using ReplyPtr = std::shared_ptr<Reply>;

void handle_chat(HandlerContext& context, const Caller& caller, const std::string& body,
                 const ReplyPtr& reply);
void handle_completion(HandlerContext& context, const Caller& caller, const std::string& body,
                       const ReplyPtr& reply);
void handle_responses(HandlerContext& context, const Caller& caller, const std::string& body,
                      const ReplyPtr& reply);
void handle_response_input_tokens(HandlerContext& context, const Caller& caller,
                                  const std::string& body, const ReplyPtr& reply);
void handle_response_get(HandlerContext& context, const Caller& caller, const std::string& id,
                         const std::string& query, const ReplyPtr& reply);
void handle_response_delete(HandlerContext& context, const Caller& caller, const std::string& id,
                            const ReplyPtr& reply);
void handle_response_cancel(HandlerContext& context, const Caller& caller, const std::string& id,
                            const ReplyPtr& reply);
void handle_response_input_items(HandlerContext& context, const Caller& caller,
                                 const std::string& id, const std::string& query,
                                 const ReplyPtr& reply);
void handle_messages(HandlerContext& context, const Caller& caller, const net::HttpRequest& http,
                     const ReplyPtr& reply);
void handle_message_count(HandlerContext& context, const net::HttpRequest& http,
                          const ReplyPtr& reply);
void handle_tokenize(HandlerContext& context, const std::string& body, const ReplyPtr& reply);
void handle_detokenize(HandlerContext& context, const std::string& body, const ReplyPtr& reply);
void handle_home(const HandlerContext& context, const net::HttpRequest& request,
                 const ReplyPtr& reply);
void handle_models(HandlerContext& context, const ReplyPtr& reply);
void handle_model(HandlerContext& context, const std::string& name, const ReplyPtr& reply);

}  // namespace fathom::api
