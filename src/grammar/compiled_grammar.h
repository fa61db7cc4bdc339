// A grammar ready for use with a vocabulary, and what follows one text through it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/automaton.h"
#include "grammar/rules/grammar.h"
#include "grammar/state_table.h"
#include "grammar/vocabulary.h"

namespace fathom::grammar {

// Safe to use from any number of threads; what matchers learn (states, masks) is shared.
class CompiledGrammar {
 public:
  // Errors: as Automaton::build().
  static Result<std::shared_ptr<const CompiledGrammar>> build(
      const Grammar& grammar, std::shared_ptr<const Vocabulary> vocabulary);

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  const Automaton& automaton() const { return *automaton_; }
  // Of the Grammar: requirements of the source that are not enforced.
  const std::vector<std::string>& notes() const { return notes_; }
  // The Grammar, for another machine to compile (rules_text.h).
  const std::string& rules() const { return rules_; }
  // Bytes held now; they grow with use, to about kStateTableBytes and the automaton.
  size_t bytes() const;

 private:
  friend class Matcher;
  CompiledGrammar(Automaton automaton, std::shared_ptr<const Vocabulary> vocabulary,
                  const Grammar& grammar);
  // The table to use from now on: a new one when the last is full.
  std::shared_ptr<StateTable> table() const;

  std::shared_ptr<const Automaton> automaton_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<std::string> notes_;
  std::string rules_;
  mutable std::mutex mutex_;  // guards table_
  mutable std::shared_ptr<StateTable> table_;
};

// Follows one generated text, token by token. Used by one thread at a time.
//
//   while (!matcher.finished()) {
//     matcher.fill_mask(mask);        // then logits of tokens without a bit are -infinity
//     matcher.accept(draw(logits));
//   }
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const CompiledGrammar> grammar);

  // Sets the bit of every token that may come next and clears all others; `mask` has at least
  // vocabulary().mask_words() words. Some bit is set until the text is finished, provided that the
  // vocabulary has a token for each byte.
  void fill_mask(std::span<uint32_t> mask);
  // Finds the mask that fill_mask() would write, so that it only has to be copied.
  void prepare_mask();
  bool mask_prepared() { return finished() || table_->mask_known(history_.back().state); }
  // Takes the next token. False, and nothing changed, if it may not come next.
  bool accept(TokenId token);
  // Takes text as if it were a token.
  bool accept_text(std::string_view bytes);
  // Takes back the last `count` tokens, end tokens too. At most token_count().
  void rollback(size_t count);

  size_t token_count() const { return history_.size() - 1; }
  // Whether the text could end here, whether it could go on, and whether an end token was accepted.
  bool can_end();
  bool can_continue() { return !finished() && table_->continues(history_.back().state); }
  bool finished() const { return history_.back().finished; }
  // The bytes that must come next, whatever the model says; empty where there is a choice.
  std::string forced_text(size_t most_bytes = 256);

 private:
  struct Step {
    StateId state;
    bool finished;
  };
  void leave_full_table();

  std::shared_ptr<const CompiledGrammar> grammar_;
  std::shared_ptr<StateTable> table_;
  std::vector<Step> history_;  // the start, then after each token
};

}  // namespace fathom::grammar
