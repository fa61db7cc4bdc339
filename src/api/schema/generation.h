// The fields that chat and text completions share: which model, how to sample, when to stop, how
// to answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/schema/field.h"
#include "api/schema/structure.h"

namespace fathom::api {

struct GenerationFields {
  std::optional<std::string> model;  // absent: the one that is served

  float temperature = 1.0f;
  float top_p = 1.0f;
  int32_t top_k = 0;
  float min_p = 0.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::optional<int64_t> seed;

  int32_t n = 1;
  std::optional<int64_t> max_tokens;
  int64_t min_tokens = 0;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos = false;

  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
  bool skip_special_tokens = true;
  bool tokens_as_ids = false;  // log-probabilities name tokens "token_id:123"

  int32_t priority = 0;
  std::string cache_salt;

  std::optional<Structure> structure;  // response_format or structured_outputs
};

const FieldTable<GenerationFields>& generation_field_table();

// Checks across fields: min_tokens against max_tokens, stream_options without stream.
Status check_generation_fields(const GenerationFields& fields, const Json& body);

}  // namespace fathom::api
