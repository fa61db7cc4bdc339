// Follows the content of an answer through its grammar, to tell where the answer could end.
#pragma once

#include <optional>
#include <vector>

#include "api/text/markers.h"
#include "grammar/compiled_grammar.h"

namespace fathom::api {

class GrammarFollower {
 public:
  GrammarFollower(std::shared_ptr<const grammar::CompiledGrammar> grammar,
                  const MarkerTable& markers)
      : markers_(markers), matcher_(std::move(grammar)) {}

  void take(const Piece& piece);
  // Whether the text could end behind these pieces.
  bool can_end_behind(const std::vector<Piece>& pieces);

 private:
  const MarkerTable& markers_;
  grammar::Matcher matcher_;
};

}  // namespace fathom::api
