#include "api/output_parser.h"

#include "api/text_search.h"

namespace fathom::api {

namespace {

std::optional<GrammarFollower> follower(const OutputOptions& options, const MarkerTable& markers) {
  if (options.stop.empty() || options.grammar == nullptr) return {};
  return GrammarFollower(options.grammar, markers, options.starts_in_thought);
}

std::vector<Marker> scanned_markers(const MarkerTable& table, const OutputOptions& options) {
  if (!options.split_reasoning && !options.parse_tools) return {};
  return table.in_text();
}

}  // namespace

OutputParser::OutputParser(const tokenizer::Tokenizer& tokenizer, const MarkerTable& markers,
                           OutputOptions options)
    : tokenizer_(tokenizer),
      markers_(markers),
      options_(std::move(options)),
      detokenizer_(tokenizer, options_.skip_special_tokens),
      stop_(options_.stop, follower(options_, markers)),
      scanner_(scanned_markers(markers, options_)),
      reasoning_(options_.starts_in_thought),
      tools_(options_.parallel_tool_calls),
      thinking_(options_.split_reasoning && options_.starts_in_thought) {}

bool OutputParser::push(engine::TokenId token, const std::optional<engine::TokenLogprob>& logprob,
                        OutputDelta& delta) {
  const Marker marker = markers_.of_token(token);
  const bool reasoning = count_token(marker);
  std::vector<Piece> pieces;
  bool stopped = false;
  if (marker != Marker::kNone) {
    // A character that was not finished before the marker never will be.
    stopped = feed_stop({detokenizer_.flush()}, pieces);
  }
  if (logprob) pending_.push_back({{*logprob, fed_characters_, reasoning}, fed_bytes_});
  if (!stopped) stopped = feed_stop({detokenizer_.push(token), marker}, pieces);
  deliver(std::move(pieces), delta);
  release_tokens(delta);
  stopped |= !options_.parallel_tool_calls && tools_.ended_calls() > 0;
  if (stopped) end_text(delta);
  return stopped;
}

// Whether the token is part of a thought, its closing mark included.
bool OutputParser::count_token(Marker marker) {
  ++completion_tokens_;
  if (!options_.split_reasoning) return false;
  const bool by_token = markers_.is_token(Marker::kThinkEnd);
  if (!by_token) thinking_ = reasoning_.in_thought();
  if (!thinking_ && marker == Marker::kThinkBegin && blank_so_far_) thinking_ = true;
  if (!thinking_) return false;
  ++reasoning_tokens_;
  if (marker == Marker::kThinkEnd) thinking_ = false;
  return true;
}

bool OutputParser::feed_stop(Piece piece, std::vector<Piece>& out) {
  if (piece.text.empty() && piece.marker == Marker::kNone) return false;
  if (piece.text.find_first_not_of(" \t\r\n") != std::string::npos) blank_so_far_ = false;
  fed_bytes_ += piece.text.size();
  fed_characters_ += static_cast<int64_t>(count_characters(piece.text));
  return stop_.feed(piece, completion_tokens_ > options_.min_tokens, out);
}

void OutputParser::deliver(std::vector<Piece> pieces, OutputDelta& delta) {
  std::vector<Piece> scanned;
  for (Piece& piece : pieces) scanner_.feed(std::move(piece), scanned);
  for (const Piece& piece : scanned) deliver_part(piece, delta);
}

void OutputParser::deliver_part(const Piece& piece, OutputDelta& delta) {
  std::vector<ReasoningParser::Part> parts;
  if (options_.split_reasoning) {
    reasoning_.feed(piece, parts);
  } else {
    parts.push_back({false, piece});
  }
  for (const ReasoningParser::Part& part : parts) {
    if (part.reasoning) {
      delta.reasoning += part.piece.text;
    } else if (options_.parse_tools) {
      tools_.feed(part.piece, delta.content, delta.tool_calls);
    } else {
      delta.content += part.piece.text;
    }
  }
}

// Log-probabilities leave with the text of their token, and not at all if a stop string cut it.
void OutputParser::release_tokens(OutputDelta& delta) {
  const bool nothing_held = stop_.released() == fed_bytes_;
  while (!pending_.empty() && (nothing_held || pending_.front().begin < stop_.released())) {
    delta.tokens.push_back(std::move(pending_.front().record));
    pending_.pop_front();
  }
}

void OutputParser::end_text(OutputDelta& delta) {
  std::vector<Piece> rest;
  scanner_.flush(rest);
  for (const Piece& piece : rest) deliver_part(piece, delta);
  std::vector<ReasoningParser::Part> white_space;
  reasoning_.flush(white_space);
  for (const auto& part : white_space) delta.content += part.piece.text;
  if (options_.parse_tools) tools_.flush(delta.content);
}

bool OutputParser::finish(OutputDelta& delta) {
  std::vector<Piece> pieces;
  const bool stopped = feed_stop({detokenizer_.flush()}, pieces);
  if (!stopped) stop_.flush(pieces);
  deliver(std::move(pieces), delta);
  release_tokens(delta);
  end_text(delta);
  return stopped;
}

}  // namespace fathom::api
