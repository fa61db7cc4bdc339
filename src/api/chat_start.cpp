#include "api/chat_start.h"

#include <nlohmann/json.hpp>

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

}  // namespace

Result<ChatRequest> read_chat(const HandlerContext& context, const Json& body) {
  FATHOM_ASSIGN(ChatRequest request, read_chat_request(body));
  FATHOM_TRY(check_token_fields(request, context.limits()));
  return request;
}

Result<Prompt> chat_prompt(const HandlerContext& context, const ServedModel& model,
                           const ChatRequest& request) {
  const bool with_tools = request.tool_choice == ToolChoice::kAuto;
  return context.prompts.chat({request.messages, with_tools ? request.tools.get() : nullptr,
                               request.thinking.value_or(model.thinking), true,
                               request.continue_final_message});
}

void start_chat(HandlerContext& context, const ChatRequest& request, const char* prompt_path,
                const MakeAnswer& make_answer, const ReplyPtr& reply) {
  const auto model = context.find_model(request.model);
  if (!model) return reply->send_error(model_not_found(*request.model));
  const auto prompt = chat_prompt(context, *model, request);
  if (!prompt) {
    ApiError error = to_api_error(prompt.error());
    error.param = prompt_path;
    return reply->send_error(error);
  }
  const auto tokens = static_cast<int64_t>(prompt->tokens.size());
  const auto max_tokens = allowed_tokens(request, tokens, context.options.default_max_tokens,
                                         context.limits().max_context, prompt_path);
  if (!max_tokens) {
    ApiError error = to_api_error(max_tokens.error());
    error.code = "context_length_exceeded";
    return reply->send_error(error);
  }
  start_generation({context.engine, context.tokenizer, context.markers, context.metrics},
                   make_choices(request, *prompt, *max_tokens), make_answer(tokens),
                   reply->writer());
}

}  // namespace fathom::api
