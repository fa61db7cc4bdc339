#include "api/completion/handler.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/completion/answer.h"
#include "api/context/context.h"
#include "api/schema/completion.h"

namespace fathom::api {

namespace {

constexpr int64_t kDefaultMaxTokens = 16;  // OpenAI's for this route

using Prompts = std::vector<std::vector<tokenizer::TokenId>>;

Result<CompletionRequest> read_request(const HandlerContext& context, const std::string& body) {
  FATHOM_ASSIGN(const Json json, parse_json(body));
  FATHOM_ASSIGN(CompletionRequest request, read_completion_request(json));
  FATHOM_TRY(check_token_fields(request, context.model.limits()));
  const size_t choices = request.prompts.size() * static_cast<size_t>(request.n);
  if (choices > static_cast<size_t>(context.options.max_choices)) {
    return invalid_argument(
        fmt::format("n: expected at most {} answers in all, got {} prompts "
                    "times {}",
                    context.options.max_choices, request.prompts.size(), request.n),
        "n");
  }
  return request;
}

std::string prompt_path(const CompletionRequest& request, size_t index) {
  return request.prompts.size() == 1 ? "prompt" : index_path("prompt", index);
}

Result<Prompts> make_prompts(const ModelContext& model, const CompletionRequest& request) {
  Prompts prompts;
  for (size_t i = 0; i < request.prompts.size(); ++i) {
    const std::string path = prompt_path(request, i);
    const auto* text = std::get_if<std::string>(&request.prompts[i]);
    if (request.suffix) {
      if (text == nullptr) return expected(path, "text with a suffix", Json("token ids"));
      FATHOM_TRY(model.prompts.check_length(text->size() + request.suffix->size(), path));
      FATHOM_ASSIGN(auto tokens, model.prompts.middle(*text, *request.suffix));
      prompts.push_back(std::move(tokens));
    } else if (text != nullptr) {
      FATHOM_TRY(model.prompts.check_length(text->size(), path));
      prompts.push_back(
          model.prompts.text(*text, {request.add_special_tokens, request.special_tokens}));
    } else {
      prompts.push_back(std::get<std::vector<int32_t>>(request.prompts[i]));
      FATHOM_TRY(check_token_ids(prompts.back(), path, model.limits().vocab_size));
    }
    if (prompts.back().empty()) {
      return invalid_argument(path + ": expected at least one token, got none", path);
    }
  }
  return prompts;
}

ChoiceSpec make_choice(const CompletionRequest& request,
                       const std::vector<tokenizer::TokenId>& prompt, const GrammarPtr& grammar,
                       int64_t max_tokens, int number) {
  ChoiceSpec choice;
  choice.request.prompt = prompt;
  choice.request.priority = request.priority;
  choice.request.cache_salt = request.cache_salt;
  choice.request.sampling = sampling_params(request, max_tokens, number);
  choice.request.sampling.logprobs = request.logprobs;
  if (request.echo) choice.request.sampling.prompt_logprobs = request.logprobs;
  choice.request.grammar = grammar;
  choice.output.grammar = grammar;
  choice.output.stop = request.stop;
  choice.output.min_tokens = request.min_tokens;
  choice.output.skip_special_tokens = request.skip_special_tokens;
  choice.counts_prompt = number == 0;
  return choice;
}

Result<std::vector<ChoiceSpec>> make_choices(const ModelContext& model,
                                             const CompletionRequest& request,
                                             const Prompts& prompts, const GrammarPtr& grammar) {
  std::vector<ChoiceSpec> choices;
  for (size_t i = 0; i < prompts.size(); ++i) {
    FATHOM_ASSIGN(
        const int64_t max_tokens,
        allowed_tokens(request, static_cast<int64_t>(prompts[i].size()), kDefaultMaxTokens,
                       model.limits().max_context, prompt_path(request, i)));
    for (int k = 0; k < request.n; ++k) {
      choices.push_back(make_choice(request, prompts[i], grammar, max_tokens, k));
    }
  }
  return choices;
}

}  // namespace

void handle_completion(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  auto request = read_request(context, call.request.body);
  if (!request) return reply->send_error(to_api_error(request.error()));
  const auto served = context.find_model(request->model, *reply);
  if (!served) return reply->send_error(model_not_found(*request->model));
  ModelContext& model = served->context;
  auto prompts = make_prompts(model, *request);
  if (!prompts) return reply->send_error(prompt_refusal(prompts.error()));
  Result<GrammarPtr> grammar = GrammarPtr();
  if (request->structure) grammar = model.grammars.of(*request->structure, reply->budget());
  if (!grammar) return reply->send_error(to_api_error(grammar.error()));
  auto choices = make_choices(model, *request, *prompts, *grammar);
  if (!choices) {
    ApiError error = to_api_error(choices.error());
    error.code = "context_length_exceeded";
    return reply->send_error(error);
  }

  warn_of_notes(*grammar, *reply);
  CompletionAnswerOptions options;
  options.model = model.info.id;
  options.choices_per_prompt = request->n;
  options.stream = request->stream;
  options.include_usage = request->include_usage;
  options.echo = request->echo;
  options.logprobs = request->logprobs.has_value();
  options.skip_special_tokens = request->skip_special_tokens;
  options.prompts = std::move(*prompts);
  options.keep_alive = context.options.keep_alive;
  auto answer = make_completion_answer(std::move(options), model.tokenizer,
                                       TokenWords(model.tokenizer, request->tokens_as_ids), reply);
  start_generation(context.tools(model, call.caller, *reply), std::move(*choices),
                   std::move(answer), reply->writer());
}

}  // namespace fathom::api
