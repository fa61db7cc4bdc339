// From one answer's tokens to what its reader sees:
//   token -> Detokenizer -> MarkerScanner -> ReasoningParser -> ToolParser -> StopMatcher
// Stop strings are looked for in the content alone, not in thoughts or calls.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/output/reasoning_parser.h"
#include "api/output/stop_matcher.h"
#include "api/output/tool_parser.h"
#include "api/text/markers.h"
#include "engine/request.h"
#include "tokenizer/detokenizer.h"

namespace fathom::api {

struct OutputOptions {
  std::vector<std::string> stop;
  int64_t min_tokens = 0;  // stop strings are not looked for before
  bool skip_special_tokens = true;
  // For text completions all of these are off: the text is given as it is.
  bool split_reasoning = false;
  bool starts_in_thought = false;  // the prompt ended within <think>
  bool behind_thought = false;     // the prompt ended with </think>
  // Nobody reads the answer before its end: what seemed to be content may still be a thought.
  bool whole = false;
  bool structured = false;  // the content is text of a given form: no line break is left out
  bool parse_tools = false;
  bool tool_named_function = false;  // ToolParser
  bool parallel_tool_calls = true;   // off: the answer ends with its first call
  // What the answer is generated within: stop strings only count where its content may end.
  std::shared_ptr<const grammar::CompiledGrammar> grammar = {};
};

// One token with its log-probability.
struct TokenRecord {
  engine::TokenLogprob logprob;
  int64_t text_offset = 0;  // characters of generated text before it
  bool reasoning = false;
};

// What became known with one event.
struct OutputDelta {
  // All content of earlier deltas was a thought, which comes before `reasoning`; never in streams.
  bool content_was_thought = false;
  std::string content;
  std::string reasoning;
  std::vector<ToolCallDelta> tool_calls;
  std::vector<TokenRecord> tokens;

  bool has_text() const {
    return content_was_thought || !content.empty() || !reasoning.empty() || !tool_calls.empty();
  }
};

class OutputParser {
 public:
  OutputParser(const tokenizer::Tokenizer& tokenizer, const MarkerTable& markers,
               OutputOptions options);

  // Takes a token; with `logprob` given the token will be among `delta.tokens`, now or with the
  // text that it is held back with. True if a stop string, or a call where there may be only one,
  // ended the answer.
  bool push(engine::TokenId token, const std::optional<engine::TokenLogprob>& logprob,
            OutputDelta& delta);
  // The end of the answer: what was held back is text. True if a stop string ended it even so.
  bool finish(OutputDelta& delta);

  // The stop string that ended the answer, if one did.
  const std::optional<std::string>& stop_string() const { return stop_.found(); }
  int64_t completion_tokens() const { return completion_tokens_; }
  int64_t reasoning_tokens() const { return reasoning_tokens_; }
  bool has_tool_calls() const { return tools_.call_count() > 0; }
  // After the end: whether the last call was cut within its arguments.
  bool last_call_cut() const { return tools_.last_call_cut(); }

 private:
  struct PendingToken {
    TokenRecord record;
    size_t begin;  // bytes of content before it
  };
  void feed(Piece piece, OutputDelta& delta);
  void deliver(const Piece& piece, OutputDelta& delta);
  void read_answer(const Piece& piece, OutputDelta& delta);
  void add_content(const Piece& piece, OutputDelta& delta);
  void flush_content(OutputDelta& delta);
  void take_back_content(OutputDelta& delta);
  void end_text(OutputDelta& delta);
  void release_tokens(OutputDelta& delta);

  tokenizer::Tokenizer tokenizer_;
  const MarkerTable& markers_;
  OutputOptions options_;
  tokenizer::Detokenizer detokenizer_;
  MarkerScanner scanner_;
  ReasoningParser reasoning_;
  ToolParser tools_;
  StopMatcher stop_;

  std::deque<PendingToken> pending_;
  size_t content_bytes_ = 0;  // that the stop matcher was given
  int64_t fed_characters_ = 0;
  int64_t completion_tokens_ = 0;
  int64_t reasoning_tokens_ = 0;
  bool content_taken_back_ = false;
  bool stopped_ = false;
};

}  // namespace fathom::api
