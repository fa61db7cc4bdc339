// Finds added tokens (special ones and others) in text, before it is split and merged: the
// leftmost, and of those that begin there the longest.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/token_id.h"

namespace fathom::tokenizer {

class AddedTokenFinder {
 public:
  struct Match {
    size_t begin;  // offsets in bytes
    size_t end;
    TokenId id;
  };

  // `content` must not be empty, nor be added twice.
  void add(std::string_view content, TokenId id);
  // The first match in `text` that begins at `from` or later.
  std::optional<Match> find(std::string_view text, size_t from) const;

 private:
  // A trie. Its edges are in one map from (node, byte) to node; node 0 is the root.
  static uint64_t edge(uint32_t node, char byte) {
    return uint64_t{node} << 8 | static_cast<unsigned char>(byte);
  }
  std::optional<Match> longest_at(std::string_view text, size_t begin) const;

  std::unordered_map<uint64_t, uint32_t> edges_;
  std::vector<TokenId> node_token_ = {kNoToken};
  std::bitset<256> first_bytes_;
};

}  // namespace fathom::tokenizer
