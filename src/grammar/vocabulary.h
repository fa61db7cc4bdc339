// A model's tokens arranged for computing masks: in tries, which share common beginnings.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/rules/text_class.h"

namespace fathom::grammar {

using TokenId = int32_t;

// Immutable, and safe to use from any number of threads.
class Vocabulary {
 public:
  // tokens[id] are the bytes the token stands for; empty for what must never be generated within a
  // grammar (special tokens, unused ids). `end_tokens` end a text. The bytes are copied.
  static std::shared_ptr<const Vocabulary> build(std::span<const std::string_view> tokens,
                                                 std::vector<TokenId> end_tokens);

  size_t size() const { return offsets_.size() - 1; }
  // 32-bit words of a mask with a bit a token; token id is bit id % 32 of word id / 32.
  size_t mask_words() const { return (size() + 31) / 32; }
  std::string_view bytes(TokenId id) const;
  bool is_end(TokenId id) const;
  // Whether the token can stand within a text: it has bytes, not too many, and is no end token.
  bool usable(TokenId id) const;
  std::span<const TokenId> end_tokens() const { return end_tokens_; }

  // A node of a trie in depth-first order: the string of the nodes down to it.
  struct Node {
    uint32_t skip;   // the first node behind those below this one
    TokenId token;   // the token of this string, if there is one
    uint16_t depth;  // in bytes, from 1
    uint8_t byte;
    uint8_t has_token;  // 0 or 1
  };
  struct Trie {
    std::vector<Node> nodes;
    uint16_t depth = 0;  // the deepest node's
  };
  // Tokens whose text is of one class, with `least` to `most` characters; in the first bucket,
  // where both are 0, all other tokens.
  struct Bucket {
    TextClass text_class = TextClass::kPlain;
    size_t least = 0;
    size_t most = 0;
    Trie trie;
    std::vector<uint32_t> mask;
  };
  std::span<const Bucket> buckets() const { return buckets_; }
  // The most frequent tokens again: those of one byte, then more and more of the first ids, which
  // tokenizers number by frequency.
  std::span<const Trie> frequent() const { return frequent_; }
  // Tokens that have no node of their own, being spelled as another that has one.
  struct Twin {
    TokenId token;
    TokenId of;
  };
  std::span<const Twin> twins() const { return twins_; }

 private:
  Vocabulary() = default;
  void lay_out_frequent();

  std::vector<char> text_;
  std::vector<size_t> offsets_;  // by token id, and one behind the last
  std::vector<TokenId> end_tokens_;
  std::vector<Bucket> buckets_;
  std::vector<Trie> frequent_;
  std::vector<Twin> twins_;
};

}  // namespace fathom::grammar
