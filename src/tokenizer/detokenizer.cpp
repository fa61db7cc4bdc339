#include "tokenizer/detokenizer.h"

#include <utility>

#include "base/utf8.h"

namespace fathom::tokenizer {

Detokenizer::Detokenizer(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string Detokenizer::push(TokenId id) {
  std::string whole;
  if (skip_special_ && tokenizer_.is_special(id)) return whole;
  pending_ += tokenizer_.token_bytes(id);
  take_whole_characters(pending_, whole);
  return whole;
}

std::string Detokenizer::flush() {
  std::string last;
  if (!pending_.empty()) last = kReplacementCharacter;
  pending_.clear();
  return last;
}

}  // namespace fathom::tokenizer
