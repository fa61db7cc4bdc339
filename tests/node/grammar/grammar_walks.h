// Random texts of a grammar, for grammar_oracle_cli and grammar_bench.
#pragma once

#include <bit>
#include <cstdint>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/compiled_grammar.h"
#include "tokenizer/tokenizer.h"

namespace fathom::grammar {

// The tokenizer's ordinary tokens; its added ones (special or not) are never generated.
inline std::shared_ptr<const Vocabulary> vocabulary_of(const tokenizer::Tokenizer& tokenizer) {
  std::vector<std::string_view> tokens;
  for (tokenizer::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    tokens.push_back(tokenizer.is_added(id) ? std::string_view() : tokenizer.token_bytes(id));
  }
  const tokenizer::TokenId end = tokenizer.token_to_id("<｜end▁of▁sentence｜>").value_or(0);
  return Vocabulary::build(tokens, {end});
}

struct Walk {
  std::string text;
  size_t tokens = 0;
  bool complete = false;
};

// Microseconds of processor time of this thread: other processes do not count.
inline double thread_microseconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Draws tokens from masks: any that is allowed for a while, then whatever leads to an end soon.
class Walker {
 public:
  explicit Walker(std::shared_ptr<const CompiledGrammar> grammar)
      : grammar_(std::move(grammar)), mask_(grammar_->vocabulary().mask_words()) {
    const Vocabulary& vocabulary = grammar_->vocabulary();
    for (TokenId id = 0; static_cast<size_t>(id) < vocabulary.size(); ++id) {
      const std::string_view bytes = vocabulary.bytes(id);
      if (bytes.size() != 1 || !vocabulary.usable(id)) continue;
      if (bytes == "\"") quote_ = id;
      if (bytes == "]") bracket_ = id;
      if (bytes == "}") brace_ = id;
      if (bytes == "n") null_ = id;
      if (bytes == " ") space_ = id;
      if (bytes == "\\") backslash_ = id;
      // Behind a backslash a quote closes nothing.
      if (bytes != "\"" && bytes != "]" && bytes != "}" && bytes != "\\") single_.push_back(id);
    }
  }

  // `wild` is the number of tokens until an end is looked for, `most` of all tokens. `masked` is
  // called with the microseconds that each mask took.
  template <typename Masked>
  Walk walk(std::mt19937_64& random, size_t wild, const Masked& masked, size_t most = 5000) {
    Matcher matcher(grammar_);
    Walk walk;
    while (!matcher.finished() && walk.tokens < most) {
      const double begin = thread_microseconds();
      matcher.fill_mask(mask_);
      masked(thread_microseconds() - begin);
      // Uniform draws would hardly ever end or close anything.
      const bool end_soon = walk.tokens >= wild || (wild < most && random() % 8 == 0);
      const TokenId token = end_soon ? ending(matcher, random) : any(random);
      if (!matcher.accept(token)) return walk;
      if (!matcher.finished()) walk.text += grammar_->vocabulary().bytes(token);
      ++walk.tokens;
    }
    walk.complete = matcher.finished();
    return walk;
  }

 private:
  bool allowed(TokenId id) const { return mask_[id / 32] >> id % 32 & 1; }

  TokenId any(std::mt19937_64& random) {
    tokens_.clear();
    for (size_t word = 0; word < mask_.size(); ++word) {
      for (uint32_t bits = mask_[word]; bits != 0; bits &= bits - 1) {
        tokens_.push_back(static_cast<TokenId>(word * 32 + std::countr_zero(bits)));
      }
    }
    return tokens_.empty() ? TokenId{-1} : tokens_[random() % tokens_.size()];
  }

  // The end, else what closes something, else what lets something be closed in one or two bytes,
  // else null, which ends recursion.
  TokenId ending(Matcher& matcher, std::mt19937_64& random) {
    if (matcher.can_end()) return grammar_->vocabulary().end_tokens()[0];
    const bool in_string = allowed(bracket_) && allowed(brace_);
    const bool escaping = !allowed(space_) && allowed(backslash_);
    if (escaping && allowed(null_)) return null_;  // \n
    if (allowed(quote_)) return quote_;
    if (!in_string && allowed(bracket_)) return bracket_;
    if (!in_string && allowed(brace_)) return brace_;
    if (!in_string && allowed(null_)) return null_;
    for (const int depth : {1, 2}) {
      const TokenId found = towards_closing(matcher, random, depth);
      if (found >= 0) return found;
    }
    return any(random);
  }

  TokenId towards_closing(Matcher& matcher, std::mt19937_64& random, int depth) {
    const size_t first = random();
    for (size_t i = 0; i < single_.size(); ++i) {
      const TokenId id = single_[(first + i) % single_.size()];
      if (!matcher.accept(id)) continue;
      bool found = matcher.can_end();
      if (!found && matcher.accept(quote_)) {
        matcher.rollback(1);
        found = true;
      }
      if (!found && depth > 1) found = towards_closing(matcher, random, depth - 1) >= 0;
      matcher.rollback(1);
      if (found) return id;
    }
    return -1;
  }

  std::shared_ptr<const CompiledGrammar> grammar_;
  std::vector<uint32_t> mask_;
  std::vector<TokenId> tokens_;
  std::vector<TokenId> single_;  // tokens of one byte, but for those that close something
  TokenId quote_ = 0;
  TokenId bracket_ = 0;
  TokenId brace_ = 0;
  TokenId null_ = 0;  // "n"
  TokenId space_ = 0;
  TokenId backslash_ = 0;
};

}  // namespace fathom::grammar
