// Follows a generated text through its grammar, to tell where the text could end.
#pragma once

#include <optional>
#include <vector>

#include "api/markers.h"
#include "grammar/compiled_grammar.h"

namespace fathom::api {

class GrammarFollower {
 public:
  // Behind the thought, where the text begins within one.
  GrammarFollower(std::shared_ptr<const grammar::CompiledGrammar> grammar,
                  const MarkerTable& markers, bool in_thought)
      : markers_(markers), matcher_(std::move(grammar)), in_thought_(in_thought) {}

  void take(const Piece& piece);
  // Whether the text could end behind these pieces.
  bool can_end_behind(const std::vector<Piece>& pieces);

 private:
  const MarkerTable& markers_;
  grammar::Matcher matcher_;
  bool in_thought_;
};

}  // namespace fathom::api
