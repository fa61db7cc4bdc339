// The state of one request between steps. What a step runs follows from `tokens` and `computed`
// alone: rows [computed, length()) are still to run, and the last row's logits give the next token.
// Prefill, decode (one row to run) and the replay of a preempted sequence (computed back to 0) are
// the same thing. A decoding sequence may have drafts: guesses of its next tokens, which run after
// its own row, so that their logits are there if the guesses turn out right.
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
struct Task;

struct Sequence {
  RequestId id = 0;      // rises with arrival
  Task* task = nullptr;  // that holds it (task.h); null where a Scheduler runs without an engine
  int32_t priority = 0;
  uint64_t owner = 0;
  RequestId request = 0;         // the API request that this sequence is a part of
  Share* owner_share = nullptr;  // the scheduler's, while the sequence is scheduled (fair_shares.h)
  Share* request_share = nullptr;  // likewise
  SamplingParams sampling;
  uint64_t seed = 0;
  std::vector<TokenId> stop_tokens;  // end of sequence (unless ignored) and the request's own
  int64_t max_new = 0;  // upper bound of tokens to generate, from max_tokens and the context
  std::unique_ptr<Guide> guide;  // has accepted all tokens but the drafts; or null

  std::vector<TokenId> tokens;  // prompt, generated tokens, drafts; never reallocates
  int64_t drafts = 0;           // how many of the last tokens are drafts
  double draft_success = 1.0;   // running average share of accepted drafts
  int64_t prompt_size = 0;
  int64_t given_size = 0;     // rows from here on take the attention path of generated tokens
  int64_t prompt_scored = 0;  // prompt log-probabilities already sent

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

  // Rows before it need not run if their latents are cached, since their logits are not wanted.
  int64_t first_row_to_compute() const {
    const bool scoring = sampling.prompt_logprobs && prompt_scored + 1 < prompt_size;
    return scoring ? prompt_scored : length() - 1;
  }

  // A stop token that the grammar uses as text stops nothing before the text is complete.
  bool stops_at(TokenId token) const {
    if (guide != nullptr && !guide->can_end()) return false;
    return std::find(stop_tokens.begin(), stop_tokens.end(), token) != stop_tokens.end();
  }

  // Adds a generated token. Returns whether it is the first draft; if not, drops all drafts.
  bool append(TokenId token) {
    if (drafts > 0 && tokens[static_cast<size_t>(length())] == token) {
      --drafts;
      return true;
    }
    keep_drafts(0);
    tokens.push_back(token);
    return false;
  }

  // Row r's logits are about token r + 1: an unscored prompt token, the next token to draw, or the
  // token after a draft.
  bool wants_logits(int64_t row) const {
    if (row + 1 >= length()) return max_new > 0;
    return sampling.prompt_logprobs && row >= prompt_scored && row + 1 < prompt_size;
  }
};

}  // namespace fathom::engine
