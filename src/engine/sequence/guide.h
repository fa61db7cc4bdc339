// What the next token of one answer may be: within a thought anything, until the thought's budget
// is spent; behind it what a grammar allows. Follows the answer token by token, and goes back where
// drafts were wrong.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "engine/request.h"
#include "grammar/compiled_grammar.h"

namespace fathom::engine {

class Guide {
 public:
  // Of a request's own rules; nothing where it has none. Tokens that were generated earlier
  // (Request::generated_from) are followed; kInvalidArgument if one of them may not stand there.
  static Result<std::unique_ptr<Guide>> of(const Request& request);

  Guide(std::shared_ptr<const grammar::CompiledGrammar> grammar, std::optional<Thought> thought);

  // Whether some tokens are ruled out now.
  bool restricts() const;
  // Needs restricts(). Sets the bit of every token that may come next and clears all others; token
  // id is bit id % 32 of word id / 32. Tokens that end the answer are not looked at.
  void fill_mask(std::span<uint32_t> mask);
  // Takes the next token. False, and nothing changed, if it may not come next.
  bool accept(TokenId token);
  // Takes back the last `count` tokens that accept() took.
  void rollback(int64_t count);

  // Whether the answer may end here; within a thought it may if no grammar follows.
  bool can_end();
  // Whether anything may come next.
  bool can_continue();
  // Finds the masks of the next token and of those behind `drafts`, so that fill_mask() is quick.
  void prepare(std::span<const TokenId> drafts);
  // Whether prepare() without drafts would have nothing to do.
  bool prepared();

 private:
  bool in_thought() const { return thought_.has_value() && !thought_size_.has_value(); }
  bool closes_thought() const;

  std::optional<grammar::Matcher> matcher_;  // of what follows the thought
  std::optional<Thought> thought_;
  int64_t accepted_ = 0;                 // tokens
  std::optional<int64_t> thought_size_;  // in tokens, with the one that closed it
};

}  // namespace fathom::engine
