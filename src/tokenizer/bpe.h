// Byte-pair merging (Sennrich et al. 2016, byte-level as in GPT-2): a piece of text begins as its
// single bytes; of all neighbouring tokens the pair with the lowest rank, the leftmost of equals,
// becomes one token, until no neighbours have a rule.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/token_id.h"
#include "tokenizer/vocabulary.h"

namespace fathom::tokenizer {

// The rules in the order of their rank, the first merged first.
struct MergeRule {
  TokenId left;
  TokenId right;
  TokenId result;
};

class Bpe {
 public:
  // Memory that encode() uses again from piece to piece, one a thread.
  struct Scratch {
    struct Symbol {
      TokenId id;
      uint32_t previous;  // the neighbours' places; kNone at either end
      uint32_t next;
    };
    std::vector<Symbol> symbols;
    // Pairs that may be merged: rank << 32 | place of the left symbol, the least on top.
    std::vector<uint64_t> heap;
    // Pairs that were put on the heap since the Scratch was made: what the work grows with.
    uint64_t candidates_seen = 0;
  };

  Bpe() = default;
  // `vocabulary`'s findable tokens are those that text may become. `byte_tokens` has the token of
  // every byte. Of two rules for the same pair the later counts. With `ignore_merges` a piece that
  // is a token as a whole becomes that token, whatever the rules say.
  Bpe(Vocabulary vocabulary, const std::array<TokenId, 256>& byte_tokens,
      const std::vector<MergeRule>& rules, bool ignore_merges);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the tokens of `piece` (not empty, less than 4 GiB) to `out`. Time O(n log n).
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;

 private:
  struct PairSlot {
    uint64_t pair = kNoPair;
    uint32_t rank = 0;
    TokenId result = kNoToken;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};

  static uint64_t pair_of(TokenId left, TokenId right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t first_slot(uint64_t pair) const;
  void add_rule(const MergeRule& rule, uint32_t rank);
  const PairSlot& find_pair(TokenId left, TokenId right) const;
  void mark_whole_tokens(bool ignore_merges);

  void merge_short(std::string_view piece, std::vector<TokenId>& out) const;
  void merge_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;
  const PairSlot& pair_at(uint32_t place, const Scratch& scratch) const;
  void add_candidate(uint32_t place, Scratch& scratch) const;
  void merge_at(uint32_t place, TokenId result, Scratch& scratch) const;

  Vocabulary vocabulary_;
  std::array<TokenId, 256> byte_tokens_{};
  std::vector<PairSlot> pairs_;  // open addressing, at most half full
  int pair_shift_ = 0;           // 64 - log2 of its size
  // By id: whether merging the token's own bytes gives the token, so that a piece equal to it needs
  // no merging. Most words of a text are such pieces.
  std::vector<bool> is_whole_;
};

}  // namespace fathom::tokenizer
