#include "api/grammar_follower.h"

namespace fathom::api {

void GrammarFollower::take(const Piece& piece) {
  if (in_thought_) {
    in_thought_ = piece.marker != Marker::kThinkEnd;
    return;
  }
  const std::string text =
      piece.marker == Marker::kNone ? piece.text : markers_.grammar_text(piece.marker);
  matcher_.accept_text(text);  // generated within the grammar, so it fits
}

bool GrammarFollower::can_end_behind(const std::vector<Piece>& pieces) {
  const bool in_thought = in_thought_;
  const size_t before = matcher_.token_count();
  for (const Piece& piece : pieces) take(piece);
  const bool result = !in_thought_ && matcher_.can_end();
  matcher_.rollback(matcher_.token_count() - before);
  in_thought_ = in_thought;
  return result;
}

}  // namespace fathom::api
