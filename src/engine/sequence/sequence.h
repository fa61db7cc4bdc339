// The state of one request between steps. What a step does to it follows from `tokens` and
// `computed` alone: rows [computed, length()) are still to run, and the last row's logits give the
// next token. A prompt being read, a decoding sequence (one row to run) and the replay of a
// preempted one (computed back to 0) are all the same thing. A decoding sequence may have drafts:
// guesses of its next tokens, which run behind its one row so that their logits are there if they
// turn out right.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/sip_hash.h"
#include "engine/request.h"
#include "engine/sequence/guide.h"

namespace fathom::engine {

struct Share;

struct Sequence {
  RequestId id = 0;  // rises with arrival
  int32_t priority = 0;
  uint64_t owner = 0;
  RequestId request = 0;           // the API request that it is a part of
  Share* owner_share = nullptr;    // the scheduler's, while it knows the sequence (fair_shares.h)
  Share* request_share = nullptr;  // likewise
  SamplingParams sampling;
  uint64_t seed = 0;
  std::vector<TokenId> stop_tokens;  // end of sequence (unless ignored) and the request's own
  int64_t max_new = 0;               // tokens to generate at most, by max_tokens and the context
  std::unique_ptr<Guide> guide;      // stands behind the last token that is no draft; or null

  std::vector<TokenId> tokens;  // the prompt, what was generated, drafts; never reallocates
  int64_t drafts = 0;           // the last so many tokens are guesses
  double draft_success = 1.0;   // running share of drafts that were right
  int64_t prompt_size = 0;
  int64_t given_size = 0;     // rows from here on take the path of generated tokens
  int64_t prompt_scored = 0;  // prompt log-probabilities that were already sent

  int32_t replica = 0;          // data-parallel replica whose blocks it has
  int64_t computed = 0;         // leading tokens whose latents are in the cache
  std::vector<int32_t> blocks;  // block table; never reallocates
  bool exports_kv = false;      // its blocks go to another engine
  std::string cache_salt;
  std::vector<Hash128> block_hashes;  // of the first full blocks; never reallocates

  int64_t length() const { return static_cast<int64_t>(tokens.size()) - drafts; }
  int64_t remaining() const { return length() - computed; }
  int64_t generated() const { return length() - prompt_size; }

  void keep_drafts(int64_t count) {
    tokens.resize(tokens.size() - static_cast<size_t>(drafts - count));
    drafts = count;
  }

  // Rows before it need not run where their latents are cached: nobody wants their logits.
  int64_t first_row_to_compute() const {
    const bool scoring = sampling.prompt_logprobs && prompt_scored + 1 < prompt_size;
    return scoring ? prompt_scored : length() - 1;
  }

  // A token of the request's own that a grammar takes for text stops nothing before its end.
  bool stops_at(TokenId token) const {
    if (guide != nullptr && !guide->can_end()) return false;
    return std::find(stop_tokens.begin(), stop_tokens.end(), token) != stop_tokens.end();
  }

  // Adds a generated token. Whether the first draft had guessed it; if not, all drafts go.
  bool append(TokenId token) {
    if (drafts > 0 && tokens[static_cast<size_t>(length())] == token) {
      --drafts;
      return true;
    }
    keep_drafts(0);
    tokens.push_back(token);
    return false;
  }

  // Row r's logits tell of token r + 1: an unscored prompt token, the next one to sample, or one
  // behind a draft.
  bool wants_logits(int64_t row) const {
    if (row + 1 >= length()) return max_new > 0;
    return sampling.prompt_logprobs && row >= prompt_scored && row + 1 < prompt_size;
  }
};

}  // namespace fathom::engine
