#include "engine/loop/request_check.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <span>

#include "grammar/compiled_grammar.h"

namespace fathom::engine {
namespace {

Status check_tokens(const char* field, std::span<const TokenId> tokens, int64_t vocab_size) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < vocab_size) continue;
    return invalid_argument(fmt::format("{}[{}]: expected a token id in [0, {}), got {}", field, i,
                                        vocab_size, tokens[i]),
                            field);
  }
  return {};
}

Status check_range(const char* field, double value, double low, double high) {
  if (value >= low && value <= high) return {};  // NaN is in no range
  return invalid_argument(fmt::format("{}: expected {} to {}, got {}", field, low, high, value),
                          field);
}

Status check_prompt(const Request& request, const RequestLimits& limits) {
  const auto size = static_cast<int64_t>(request.prompt.size());
  if (size == 0) return invalid_argument("prompt: expected at least one token, got none", "prompt");
  if (size > limits.max_context) {
    return invalid_argument(fmt::format("prompt: expected at most {} tokens (the model's context), "
                                        "got {}",
                                        limits.max_context, size),
                            "prompt");
  }
  if (size > limits.cache_capacity) {
    return invalid_argument(fmt::format("prompt: expected at most {} tokens (what the KV cache "
                                        "holds), got {}",
                                        limits.cache_capacity, size),
                            "prompt");
  }
  if (request.generated_from && (*request.generated_from < 1 || *request.generated_from > size)) {
    return invalid_argument(fmt::format("generated_from: expected 1 to {} (the prompt's size), "
                                        "got {}",
                                        size, *request.generated_from),
                            "generated_from");
  }
  return check_tokens("prompt", request.prompt, limits.vocab_size);
}

Status check_distribution(const SamplingParams& params) {
  constexpr double kFloatMax = std::numeric_limits<float>::max();
  constexpr double kFloatMin = std::numeric_limits<float>::min();
  FATHOM_TRY(check_range("temperature", params.temperature, 0, kFloatMax));
  FATHOM_TRY(check_range("top_p", params.top_p, kFloatMin, 1));
  FATHOM_TRY(check_range("top_k", params.top_k, 0, std::numeric_limits<int32_t>::max()));
  FATHOM_TRY(check_range("min_p", params.min_p, 0, 1));
  FATHOM_TRY(check_range("presence_penalty", params.presence_penalty, -2, 2));
  FATHOM_TRY(check_range("frequency_penalty", params.frequency_penalty, -2, 2));
  return check_range("repetition_penalty", params.repetition_penalty, kFloatMin, kFloatMax);
}

Status check_bias(const SamplingParams& params, int64_t vocab_size) {
  for (const auto& [token, bias] : params.logit_bias) {
    FATHOM_TRY(check_tokens("logit_bias", {&token, 1}, vocab_size));
    if (std::isfinite(bias)) continue;
    return invalid_argument(
        fmt::format("logit_bias: expected a finite number for token {}, got {}", token, bias),
        "logit_bias");
  }
  return {};
}

Status check_counts(const SamplingParams& params) {
  constexpr double kInt64Max = 0x1p63;
  FATHOM_TRY(check_range("max_tokens", static_cast<double>(params.max_tokens), 0, kInt64Max));
  FATHOM_TRY(check_range("min_tokens", static_cast<double>(params.min_tokens), 0, kInt64Max));
  FATHOM_TRY(check_range("logprobs", params.logprobs.value_or(0), 0, kMaxTopLogprobs));
  return check_range("prompt_logprobs", params.prompt_logprobs.value_or(0), 0, kMaxTopLogprobs);
}

Status check_rules(const Request& request, int64_t vocab_size) {
  if (request.grammar != nullptr) {
    const auto tokens = static_cast<int64_t>(request.grammar->vocabulary().size());
    if (tokens > vocab_size) {
      return invalid_argument(fmt::format("grammar: expected a vocabulary of at most {} tokens, "
                                          "got {}",
                                          vocab_size, tokens),
                              "grammar");
    }
  }
  if (!request.thought) return {};
  FATHOM_TRY(check_tokens("thought.end", {&request.thought->end, 1}, vocab_size));
  constexpr double kInt64Max = 0x1p63;
  return check_range("thought.budget", static_cast<double>(request.thought->budget.value_or(0)), 0,
                     kInt64Max);
}

}  // namespace

Status check_request(const Request& request, const RequestLimits& limits) {
  FATHOM_TRY(check_prompt(request, limits));
  FATHOM_TRY(check_distribution(request.sampling));
  FATHOM_TRY(check_bias(request.sampling, limits.vocab_size));
  FATHOM_TRY(check_counts(request.sampling));
  FATHOM_TRY(check_rules(request, limits.vocab_size));
  return check_tokens("stop_token_ids", request.sampling.stop_token_ids, limits.vocab_size);
}

}  // namespace fathom::engine
