#include "api/reasoning_parser.h"

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
  if (state_ == State::kThought && piece.marker == Marker::kThinkEnd) {
    state_ = State::kAnswer;
    drop_line_breaks_ = true;
    return;
  }
  emit(std::move(piece), out);
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
