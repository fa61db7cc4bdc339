// The bytes of every token, and the way back from bytes to a token. Filled once, then only read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/token_id.h"

namespace fathom::tokenizer {

class Vocabulary {
 public:
  struct Entry {
    TokenId id;              // unique, not negative
    std::string_view bytes;  // copied
    // Whether find() gives it. Off for tokens that plain text must not become, and for those whose
    // written form is not in the byte alphabet.
    bool findable;
  };

  Vocabulary() = default;
  // `size` is more than every id. Of findable entries with the same bytes the first is found.
  Vocabulary(const std::vector<Entry>& entries, TokenId size);

  // The number of ids, unused ones included: ids are 0 to size() - 1.
  TokenId size() const { return static_cast<TokenId>(tokens_.size()); }
  // Empty for an unused id and for one out of range. Stays valid as long as the vocabulary does.
  std::string_view bytes(TokenId id) const {
    if (id < 0 || id >= size()) return {};
    const Token& token = tokens_[id];
    return {arena_.data() + token.offset, token.length};
  }
  // The findable token with exactly these bytes, or kNoToken.
  TokenId find(std::string_view bytes) const {
    const uint64_t hash = hash_of(bytes);
    for (size_t at = hash & slot_mask_;; at = (at + 1) & slot_mask_) {
      const Slot& slot = slots_[at];
      if (slot.id == kNoToken) return kNoToken;
      if (slot.tag == static_cast<uint32_t>(hash >> 32) && this->bytes(slot.id) == bytes) {
        return slot.id;
      }
    }
  }

 private:
  struct Token {
    uint32_t offset = 0;  // in arena_
    uint32_t length = 0;
  };
  // A hash table with open addressing, at most half full.
  struct Slot {
    uint32_t tag = 0;  // upper half of the hash
    TokenId id = kNoToken;
  };
  static uint64_t hash_of(std::string_view bytes);

  std::string arena_;
  std::vector<Token> tokens_;
  std::vector<Slot> slots_ = std::vector<Slot>(1);
  size_t slot_mask_ = 0;
};

}  // namespace fathom::tokenizer
