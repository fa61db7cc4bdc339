#include "api/grammars/grammar_follower.h"

namespace fathom::api {

void GrammarFollower::take(const Piece& piece) {
  const std::string text =
      piece.marker == Marker::kNone ? piece.text : markers_.grammar_text(piece.marker);
  matcher_.accept_text(text);  // generated within the grammar, so it fits
}

bool GrammarFollower::can_end_behind(const std::vector<Piece>& pieces) {
  const size_t before = matcher_.token_count();
  for (const Piece& piece : pieces) take(piece);
  const bool result = matcher_.can_end();
  matcher_.rollback(matcher_.token_count() - before);
  return result;
}

}  // namespace fathom::api
