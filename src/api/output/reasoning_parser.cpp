#include "api/output/reasoning_parser.h"

namespace fathom::api {

void ReasoningParser::feed(Piece piece, std::vector<Part>& out) {
  if (state_ == State::kStart) {
    if (piece.marker == Marker::kThinkBegin) {
      state_ = State::kThought;
      drop_line_breaks_ = true;
      white_space_.clear();
      return;
    }
    const bool blank = piece.text.find_first_not_of(" \t\r\n") == std::string::npos;
    if (piece.marker == Marker::kNone && blank) {
      white_space_ += piece.text;
      return;
    }
    flush(out);
    state_ = State::kAnswer;
  }
  if (piece.marker == Marker::kThinkEnd && state_ == State::kThought) return begin_answer();
  if (piece.marker == Marker::kThinkEnd && options_.closes_unopened && !closed_) {
    closed_unopened_ = true;
    return begin_answer();
  }
  if (!take_call(piece, out)) emit(std::move(piece), out);
}

void ReasoningParser::begin_answer() {
  state_ = State::kAnswer;
  call_end_.reset();
  closed_ = true;
  drop_line_breaks_ = !options_.keep_line_breaks;
}

// Whether the piece belongs to a call within the thought.
bool ReasoningParser::take_call(Piece& piece, std::vector<Part>& out) {
  if (!options_.calls_in_thought || state_ != State::kThought) return false;
  if (!call_end_) {
    if (piece.marker == Marker::kCallsBegin) call_end_ = Marker::kCallsEnd;
    if (piece.marker == Marker::kCallBegin) call_end_ = Marker::kCallEnd;
    if (!call_end_) return false;
  }
  if (piece.marker == *call_end_) call_end_.reset();
  out.push_back({false, std::move(piece)});
  return true;
}

void ReasoningParser::emit(Piece piece, std::vector<Part>& out) {
  if (drop_line_breaks_ && piece.marker == Marker::kNone) {
    piece.text.erase(0, piece.text.find_first_not_of("\r\n"));
    if (piece.text.empty()) return;
  }
  drop_line_breaks_ = false;
  out.push_back({state_ == State::kThought, std::move(piece)});
}

void ReasoningParser::flush(std::vector<Part>& out) {
  if (!white_space_.empty()) emit({std::move(white_space_)}, out);
  white_space_.clear();
}

}  // namespace fathom::api
