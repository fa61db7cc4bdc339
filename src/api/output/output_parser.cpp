#include "api/output/output_parser.h"

#include <utility>

#include "api/text/text_search.h"

namespace fathom::api {

namespace {

std::optional<GrammarFollower> follower(const OutputOptions& options, const MarkerTable& markers) {
  if (options.stop.empty() || options.grammar == nullptr) return {};
  return GrammarFollower(options.grammar, markers);
}

std::vector<Marker> scanned_markers(const MarkerTable& table, const OutputOptions& options) {
  if (!options.split_reasoning && !options.parse_tools) return {};
  return table.in_text();
}

ReasoningOptions reasoning_options(const OutputOptions& options) {
  // Behind the thought the grammar enforces the calls that are required.
  return {.calls_in_thought = options.parse_tools && options.grammar == nullptr,
          .closes_unopened = options.whole && !options.behind_thought,
          .behind_thought = options.behind_thought,
          .keep_line_breaks = options.structured};
}

}  // namespace

OutputParser::OutputParser(const tokenizer::Tokenizer& tokenizer, const MarkerTable& markers,
                           OutputOptions options)
    : tokenizer_(tokenizer),
      markers_(markers),
      options_(std::move(options)),
      detokenizer_(tokenizer, options_.skip_special_tokens),
      scanner_(scanned_markers(markers, options_)),
      reasoning_(options_.starts_in_thought, reasoning_options(options_)),
      tools_(options_.parallel_tool_calls, options_.tool_named_function),
      stop_(options_.stop, follower(options_, markers)) {}

bool OutputParser::push(engine::TokenId token, const std::optional<engine::TokenLogprob>& logprob,
                        OutputDelta& delta) {
  const Marker marker = markers_.of_token(token);
  ++completion_tokens_;
  // A character that is incomplete before a marker stays incomplete.
  if (marker != Marker::kNone) feed({detokenizer_.flush()}, delta);
  const bool thinking = options_.split_reasoning && reasoning_.in_thought();
  PendingToken pending{{logprob.value_or(engine::TokenLogprob{}), fed_characters_}, content_bytes_};
  const bool was_stopped = stopped_;
  const bool was_taken_back = content_taken_back_;
  feed({detokenizer_.push(token), marker}, delta);
  // A thought's marks are tokens of it, the mark of a call is not.
  const bool opens = marker == Marker::kThinkBegin && reasoning_.in_thought();
  const bool calls = marker == Marker::kCallsBegin || marker == Marker::kCallBegin;
  const bool closed_unopened = content_taken_back_ && !was_taken_back;
  pending.record.reasoning =
      options_.split_reasoning &&
      (closed_unopened || opens || (thinking && (!calls || reasoning_.in_thought())));
  if (pending.record.reasoning && !closed_unopened) ++reasoning_tokens_;
  if (logprob && !was_stopped) pending_.push_back(std::move(pending));
  const bool ends = stopped_ || (!options_.parallel_tool_calls && tools_.ended_calls() > 0);
  if (ends) end_text(delta);
  release_tokens(delta);
  return ends;
}

void OutputParser::feed(Piece piece, OutputDelta& delta) {
  if (piece.text.empty() && piece.marker == Marker::kNone) return;
  fed_characters_ += static_cast<int64_t>(count_characters(piece.text));
  std::vector<Piece> scanned;
  scanner_.feed(std::move(piece), scanned);
  for (const Piece& part : scanned) deliver(part, delta);
}

void OutputParser::deliver(const Piece& piece, OutputDelta& delta) {
  if (!options_.split_reasoning) return read_answer(piece, delta);
  std::vector<ReasoningParser::Part> parts;
  reasoning_.feed(piece, parts);
  if (reasoning_.closed_unopened() && !content_taken_back_ && tools_.call_count() == 0) {
    take_back_content(delta);
  }
  for (const ReasoningParser::Part& part : parts) {
    if (part.reasoning) {
      delta.reasoning += part.piece.text;
    } else {
      read_answer(part.piece, delta);
    }
  }
}

void OutputParser::read_answer(const Piece& piece, OutputDelta& delta) {
  if (stopped_) return;
  if (!options_.parse_tools) return add_content(piece, delta);
  std::string content;
  const int calls = tools_.call_count();
  tools_.feed(piece, content, delta.tool_calls);
  if (!content.empty()) add_content({std::move(content)}, delta);
  if (tools_.call_count() > calls) flush_content(delta);
}

void OutputParser::add_content(const Piece& piece, OutputDelta& delta) {
  content_bytes_ += piece.text.size();
  std::vector<Piece> out;
  stopped_ = stop_.feed(piece, completion_tokens_ > options_.min_tokens, out);
  for (const Piece& part : out) delta.content += part.text;
}

// Held-back text cannot begin a stop string any more: other kinds of text follow, or none.
void OutputParser::flush_content(OutputDelta& delta) {
  std::vector<Piece> out;
  stop_.flush(out);
  for (const Piece& part : out) delta.content += part.text;
}

// The thought was not opened, but it is closed now.
void OutputParser::take_back_content(OutputDelta& delta) {
  content_taken_back_ = true;
  flush_content(delta);
  delta.content_was_thought = true;
  delta.reasoning += std::exchange(delta.content, {});
  for (PendingToken& token : pending_) token.record.reasoning = true;
  for (TokenRecord& token : delta.tokens) token.reasoning = true;
  reasoning_tokens_ = completion_tokens_;
}

// Log-probabilities leave with the text of their token, and not at all if a stop string cut it.
void OutputParser::release_tokens(OutputDelta& delta) {
  const bool nothing_held = stop_.released() == content_bytes_;
  while (!pending_.empty() && (nothing_held || pending_.front().begin < stop_.released())) {
    delta.tokens.push_back(std::move(pending_.front().record));
    pending_.pop_front();
  }
}

void OutputParser::end_text(OutputDelta& delta) {
  std::vector<Piece> rest;
  scanner_.flush(rest);
  for (const Piece& piece : rest) deliver(piece, delta);
  std::vector<ReasoningParser::Part> white_space;
  reasoning_.flush(white_space);
  for (const auto& part : white_space) read_answer(part.piece, delta);
  std::string content;
  if (options_.parse_tools) tools_.flush(content, delta.tool_calls);
  if (!content.empty() && !stopped_) add_content({std::move(content)}, delta);
  if (!stopped_) flush_content(delta);
}

bool OutputParser::finish(OutputDelta& delta) {
  feed({detokenizer_.flush()}, delta);
  end_text(delta);
  release_tokens(delta);
  return stopped_;
}

}  // namespace fathom::api
