// Parts of JSON answers that both dialects use.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/output/answer.h"
#include "api/text/json_text.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

class Reply;

// What every object of one answer carries.
struct AnswerHead {
  std::string id;
  std::string object;
  std::string model;
  int64_t created = 0;  // seconds since 1970
};

Json head_json(const AnswerHead& head);
Json usage_json(const UsageCounts& usage);

// The end of a stream of OpenAI's dialect: usage in a last chunk without choices, where it is asked
// for, and the mark that nothing follows.
void end_stream(Reply& reply, Json head, const UsageCounts& usage, bool include_usage);
// Its end by an error: the answer's status where nothing was sent yet, else an event.
void fail_stream(Reply& reply, const ApiError& error, bool begun);

// How a choice ended, put into its JSON: null while it goes on. vLLM's `stop_reason` is there where
// a stop string ended it.
void add_end(const std::optional<ChoiceEnd>& end, Json& choice);

// What an answer that is not streamed takes for each log-probability: as numbers, and as text.
inline constexpr size_t kBytesPerLogprobText = 128;

// A log-probability as JSON can hold it: -infinity becomes -9999.
double finite_logprob(float logprob);

// Words tokens for log-probabilities.
class TokenWords {
 public:
  TokenWords(tokenizer::Tokenizer tokenizer, bool as_ids)
      : tokenizer_(std::move(tokenizer)), as_ids_(as_ids) {}

  // Chat: the token's text; ill-formed parts are U+FFFD, its bytes say more.
  std::string text(tokenizer::TokenId id) const;
  // Completions, which have no bytes: "bytes:\xe4\xbd" for what is not whole characters.
  std::string name(tokenizer::TokenId id) const;
  Json bytes(tokenizer::TokenId id) const;

 private:
  tokenizer::Tokenizer tokenizer_;
  bool as_ids_;
};

// {"token", "logprob", "bytes", "top_logprobs"}
Json chat_token_json(const TokenWords& words, const engine::TokenLogprob& token);

}  // namespace fathom::api
