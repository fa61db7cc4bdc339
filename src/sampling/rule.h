// What a token is drawn by.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace fathom::sampling {

using TokenId = int32_t;

// As a request has them.
struct Parameters {
  float temperature = 1.0f;         // 0: greedy; ties go to the lowest id
  float top_p = 1.0f;               // (0, 1]; 1: off
  int32_t top_k = 0;                // 0: off
  float min_p = 0.0f;               // [0, 1]; share of the most likely token's probability
  float presence_penalty = 0.0f;    // [-2, 2], OpenAI: over generated tokens
  float frequency_penalty = 0.0f;   // [-2, 2], OpenAI: over generated tokens
  float repetition_penalty = 1.0f;  // (0, ...), 1: off; over prompt and generated tokens
  std::vector<std::pair<TokenId, float>> logit_bias = {};  // added to logits; ids must be in range
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0.0f;                        // -infinity for a token the model rules out
  std::vector<std::pair<TokenId, float>> top;  // best first; as many as were asked for
};

}  // namespace fathom::sampling
