#include "api/context/sampling_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace fathom::api {

namespace {

Error id_out_of_range(const std::string& path, int64_t id, int64_t vocab_size) {
  return invalid_argument(
      fmt::format("{}: expected a token id from 0 to {}, got {}", path, vocab_size - 1, id), path);
}

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring seeds share nothing.
uint64_t derived_seed(uint64_t seed, uint64_t choice) {
  if (choice == 0) return seed;
  uint64_t x = seed + choice * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

Status check_token_ids(const std::vector<int32_t>& ids, const std::string& path,
                       int64_t vocab_size) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= vocab_size) return id_out_of_range(index_path(path, i), ids[i], vocab_size);
  }
  return {};
}

Status check_token_fields(const GenerationFields& fields, const ModelLimits& limits) {
  FATHOM_TRY(check_token_ids(fields.stop_token_ids, "stop_token_ids", limits.vocab_size));
  for (const auto& [id, bias] : fields.logit_bias) {
    if (id >= limits.vocab_size) return id_out_of_range("logit_bias", id, limits.vocab_size);
  }
  return {};
}

Result<int64_t> allowed_tokens(const GenerationFields& fields, int64_t prompt_tokens,
                               std::optional<int64_t> fallback, int64_t max_context,
                               const std::string& path) {
  const int64_t room = max_context - prompt_tokens;
  const int64_t wanted = fields.max_tokens.value_or(fallback.value_or(std::max<int64_t>(room, 1)));
  if (room < 0 || (room == 0 && wanted > 0)) {
    return invalid_argument(
        fmt::format("This model's maximum context length is {} tokens. However, your {} resulted "
                    "in {} tokens{}.",
                    max_context, path.substr(0, path.find('[')), prompt_tokens,
                    room == 0 ? ", which leaves no room for an answer" : ""),
        path);
  }
  return std::min(wanted, room);
}

engine::SamplingParams sampling_params(const GenerationFields& fields, int64_t max_tokens,
                                       int choice) {
  engine::SamplingParams params;
  params.temperature = fields.temperature;
  params.top_p = std::max(fields.top_p, std::numeric_limits<float>::min());
  params.top_k = std::max(fields.top_k, 0);
  params.min_p = fields.min_p;
  params.presence_penalty = fields.presence_penalty;
  params.frequency_penalty = fields.frequency_penalty;
  params.repetition_penalty = fields.repetition_penalty;
  params.logit_bias = fields.logit_bias;
  if (fields.seed) {
    params.seed = derived_seed(static_cast<uint64_t>(*fields.seed), static_cast<uint64_t>(choice));
  }
  params.max_tokens = max_tokens;
  params.min_tokens = std::min(fields.min_tokens, max_tokens);
  params.ignore_eos = fields.ignore_eos;
  params.stop_token_ids = fields.stop_token_ids;
  return params;
}

}  // namespace fathom::api
