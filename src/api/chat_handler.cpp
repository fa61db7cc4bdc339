#include <nlohmann/json.hpp>

#include "api/chat_answer.h"
#include "api/handlers.h"

namespace fathom::api {

namespace {

OutputOptions output_options(const ChatRequest& request, bool in_thought) {
  OutputOptions output;
  output.stop = request.stop;
  output.min_tokens = request.min_tokens;
  output.skip_special_tokens = request.skip_special_tokens;
  output.split_reasoning = true;
  output.starts_in_thought = in_thought;
  output.parse_tools = request.tools && request.tool_choice == ToolChoice::kAuto;
  output.parallel_tool_calls = request.parallel_tool_calls;
  return output;
}

std::vector<ChoiceSpec> make_choices(const ChatRequest& request, const Prompt& prompt,
                                     int64_t max_tokens) {
  std::vector<ChoiceSpec> choices;
  for (int i = 0; i < request.n; ++i) {
    ChoiceSpec choice;
    choice.request.prompt = prompt.tokens;
    choice.request.priority = request.priority;
    choice.request.cache_salt = request.cache_salt;
    choice.request.sampling = sampling_params(request, max_tokens, i);
    if (request.logprobs) choice.request.sampling.logprobs = request.top_logprobs;
    choice.output = output_options(request, prompt.in_thought);
    choice.counts_prompt = i == 0;
    choices.push_back(std::move(choice));
  }
  return choices;
}

Result<ChatRequest> read_request(const HandlerContext& context, const std::string& body) {
  FATHOM_ASSIGN(const Json json, parse_json(body));
  FATHOM_ASSIGN(ChatRequest request, read_chat_request(json));
  FATHOM_TRY(check_token_fields(request, context.limits()));
  return request;
}

}  // namespace

void handle_chat(HandlerContext& context, const std::string& body, const ReplyPtr& reply) {
  auto request = read_request(context, body);
  if (!request) return reply->send_error(to_api_error(request.error()));
  if (!context.serves(request->model)) return reply->send_error(model_not_found(*request->model));

  const bool with_tools = request->tool_choice == ToolChoice::kAuto;
  auto prompt =
      context.prompts.chat({request->messages, with_tools ? request->tools.get() : nullptr,
                            request->thinking.value_or(context.options.default_thinking)});
  if (!prompt) return reply->send_error(to_api_error(prompt.error()));
  const auto max_tokens =
      allowed_tokens(*request, static_cast<int64_t>(prompt->tokens.size()),
                     context.options.default_max_tokens, context.limits().max_context, "messages");
  if (!max_tokens) {
    ApiError error = to_api_error(max_tokens.error());
    error.code = "context_length_exceeded";
    return reply->send_error(error);
  }

  ChatAnswerOptions options{context.options.model.id, request->n,
                            request->stream,          request->include_usage,
                            request->logprobs,        context.options.keep_alive};
  auto answer = make_chat_answer(std::move(options),
                                 TokenWords(context.tokenizer, request->tokens_as_ids), reply);
  start_generation({context.engine, context.tokenizer, context.markers, context.metrics},
                   make_choices(*request, *prompt, *max_tokens), std::move(answer),
                   reply->writer());
}

}  // namespace fathom::api
