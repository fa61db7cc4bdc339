// From a request's fields to the engine's: limits of the context, ranges of token ids, seeds.
#pragma once

#include <string>
#include <vector>

#include "api/schema/generation.h"
#include "engine/request.h"

namespace fathom::api {

struct ModelLimits {
  int64_t vocab_size = 0;
  int64_t max_context = 0;
};

// Checks the ids of logit_bias and stop_token_ids.
Status check_token_fields(const GenerationFields& fields, const ModelLimits& limits);
Status check_token_ids(const std::vector<int32_t>& ids, const std::string& path,
                       int64_t vocab_size);

// How many tokens may be generated: what was asked for, or else `fallback`, or else all that the
// context has room for, and never more than that. Its one error: the prompt leaves no room (code
// context_length_exceeded for clients).
Result<int64_t> allowed_tokens(const GenerationFields& fields, int64_t prompt_tokens,
                               std::optional<int64_t> fallback, int64_t max_context,
                               const std::string& path);

// Choice 0 has the request's own seed, the others seeds derived from it.
engine::SamplingParams sampling_params(const GenerationFields& fields, int64_t max_tokens,
                                       int choice);

}  // namespace fathom::api
