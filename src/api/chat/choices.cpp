#include "api/chat/choices.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fathom::api {

namespace {

bool may_call(const ChatRequest& request) {
  return request.tools != nullptr && request.tool_choice != ToolChoice::kNone;
}

ToolRules tool_rules(const ChatRequest& request, ToolForm form) {
  ToolRules rules{.tools = tool_specs(*request.tools),
                  .form = form,
                  .forced = request.tool_choice != ToolChoice::kAuto,
                  .parallel = request.parallel_tool_calls,
                  .structure = request.structure};
  if (const auto& names = request.callable_tools) {
    std::erase_if(rules.tools, [&](const ToolSpec& tool) {
      return std::find(names->begin(), names->end(), tool.name) == names->end();
    });
  }
  return rules;
}

// The grammar of the answer behind the thought; null: any text.
Result<GrammarPtr> grammar_of(ModelContext& model, const ChatRequest& request,
                              const std::shared_ptr<WorkBudget>& budget) {
  if (may_call(request)) {
    const ToolRules rules = tool_rules(request, model.prompts.tool_form());
    const bool strict = std::any_of(rules.tools.begin(), rules.tools.end(),
                                    [](const ToolSpec& tool) { return tool.strict; });
    const bool limited = rules.forced || request.callable_tools;
    if (strict || limited || rules.structure) return model.grammars.of(rules, budget);
  }
  if (request.structure) return model.grammars.of(*request.structure, budget);
  return GrammarPtr();
}

// The limits of a thought in which the prompt ends.
Result<std::optional<engine::Thought>> thought_of(const ModelContext& model,
                                                  const ChatRequest& request, bool in_thought,
                                                  bool has_grammar) {
  if (!in_thought || (!has_grammar && !request.thinking_budget)) {
    return std::optional<engine::Thought>();
  }
  const auto end = model.markers.token_of(Marker::kThinkEnd);
  if (!end) {
    return unsupported("thinking",
                       "expected none with a budget, tools that are enforced or structured "
                       "output: this model's tokenizer has no token for </think>");
  }
  return std::optional(engine::Thought{*end, request.thinking_budget});
}

bool has_tool_named_function(const ChatRequest& request) {
  const auto& names = request.tool_names;
  return std::find(names.begin(), names.end(), "function") != names.end();
}

OutputOptions output_options(const ChatRequest& request, const Prompt& prompt) {
  OutputOptions output;
  output.stop = request.stop;
  output.min_tokens = request.min_tokens;
  output.skip_special_tokens = request.skip_special_tokens;
  output.split_reasoning = true;
  output.starts_in_thought = prompt.in_thought;
  output.behind_thought = prompt.behind_thought;
  output.whole = !request.stream;
  output.structured = request.structure.has_value();
  output.parse_tools = may_call(request);
  output.tool_named_function = has_tool_named_function(request);
  output.parallel_tool_calls = request.parallel_tool_calls;
  return output;
}

struct Rules {
  GrammarPtr grammar;
  std::optional<engine::Thought> thought;
  bool default_sampling = false;
};

// DeepSeek's thinking models ignore these fields.
void use_default_sampling(engine::SamplingParams& sampling) {
  const GenerationFields defaults;
  sampling.temperature = defaults.temperature;
  sampling.top_p = defaults.top_p;
  sampling.presence_penalty = defaults.presence_penalty;
  sampling.frequency_penalty = defaults.frequency_penalty;
}

std::vector<ChoiceSpec> make_choices(const ChatRequest& request, const Prompt& prompt,
                                     int64_t max_tokens, const Rules& rules) {
  std::vector<ChoiceSpec> choices;
  for (int i = 0; i < request.n; ++i) {
    ChoiceSpec choice;
    choice.request.prompt = prompt.tokens;
    choice.request.priority = request.priority;
    choice.request.cache_salt = request.cache_salt;
    choice.request.sampling = sampling_params(request, max_tokens, i);
    if (rules.default_sampling) use_default_sampling(choice.request.sampling);
    if (request.logprobs) choice.request.sampling.logprobs = request.top_logprobs;
    choice.request.grammar = rules.grammar;
    choice.request.thought = rules.thought;
    choice.output = output_options(request, prompt);
    choice.output.grammar = rules.grammar;
    choice.counts_prompt = i == 0;
    choices.push_back(std::move(choice));
  }
  return choices;
}

}  // namespace

Result<Prompt> chat_prompt(const ServedModel& model, const ChatRequest& request) {
  return model.context.prompts.chat(
      {request.messages, may_call(request) ? request.tools.get() : nullptr,
       request.thinking.value_or(model.thinks), true, request.continue_final_message});
}

std::variant<std::vector<ChoiceSpec>, ApiError> chat_choices(
    const HandlerContext& context, const ServedModel& model, const ChatRequest& request,
    const ChatNames& names, const std::shared_ptr<WorkBudget>& budget) {
  const auto refusal = [&](const Error& error) {
    return to_api_error(names.rename ? names.rename(error) : error);
  };
  const auto grammar = grammar_of(model.context, request, budget);
  if (!grammar) return refusal(grammar.error());
  const auto prompt = chat_prompt(model, request);
  if (!prompt) {
    ApiError error = prompt_refusal(prompt.error());
    error.param = names.prompt;
    return error;
  }
  const auto thought = thought_of(model.context, request, prompt->in_thought, *grammar != nullptr);
  if (!thought) return refusal(thought.error());
  const auto max_tokens = allowed_tokens(request, static_cast<int64_t>(prompt->tokens.size()),
                                         context.options.default_max_tokens,
                                         model.context.limits().max_context, names.prompt);
  if (!max_tokens) {
    ApiError error = refusal(max_tokens.error());
    error.code = "context_length_exceeded";
    return error;
  }
  const bool thinks = request.thinking.value_or(model.thinks);
  return make_choices(request, *prompt, *max_tokens,
                      {*grammar, *thought, thinks && model.thinks_at_default});
}

}  // namespace fathom::api
