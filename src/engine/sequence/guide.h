// Which tokens may come next in an answer: any token inside a thought until its budget is spent,
// and after it those that the grammar allows. Follows the answer token by token and rolls back
// rejected drafts.
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
  // Null if the request restricts nothing. Follows the tokens that were generated earlier
  // (Request::generated_from); kInvalidArgument if one of them is not allowed where it stands.
  static Result<std::unique_ptr<Guide>> of(const Request& request);

  Guide(std::shared_ptr<const grammar::CompiledGrammar> grammar, std::optional<Thought> thought);

  // Whether the next token is restricted.
  bool restricts() const;
  // Needs restricts(). Sets the bit of every token that may come next and clears all others; token
  // id is bit id % 32 of word id / 32. Tokens that end the answer are the caller's business.
  void fill_mask(std::span<uint32_t> mask);
  // Advances by the next token. Returns false and changes nothing if the token is not allowed.
  bool accept(TokenId token);
  // Undoes the last `count` accepted tokens.
  void rollback(int64_t count);

  // Whether the answer may end here; inside a thought it may if no grammar follows.
  bool can_end();
  // Whether any token may come next.
  bool can_continue();
  // Computes the masks of the next token and of the tokens after each draft, so that fill_mask() is
  // quick.
  void prepare(std::span<const TokenId> drafts);
  // Whether prepare() without drafts has nothing to do.
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
