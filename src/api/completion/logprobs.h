// The log-probabilities of a text completion: four lists of equal length.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/output/answer_json.h"
#include "api/output/output_parser.h"

namespace fathom::api {

// The prompt as it stands in an answer with echo.
struct PromptEcho {
  std::string text;
  std::vector<int64_t> offsets;  // of each token within it, in characters
  int64_t characters = 0;
};

PromptEcho echo_prompt(const tokenizer::Tokenizer& tokenizer,
                       std::span<const tokenizer::TokenId> prompt, bool skip_special_tokens);

// {"text_offset", "token_logprobs", "tokens", "top_logprobs"} as JSON, filled bit by bit.
class CompletionLogprobs {
 public:
  // The first token of a prompt has no log-probability.
  void add_first(tokenizer::TokenId id, int64_t text_offset);
  void add(const engine::TokenLogprob& token, int64_t text_offset);
  // Appends all that was added since the last take.
  void take(const TokenWords& words, std::string& out);

 private:
  struct Entry {
    tokenizer::TokenId id;
    bool first;
    engine::TokenLogprob logprob;
    int64_t text_offset;
  };

  std::vector<Entry> entries_;
};

}  // namespace fathom::api
