#include "tokenizer/added_tokens.h"

namespace fathom::tokenizer {

void AddedTokenFinder::add(std::string_view content, TokenId id) {
  uint32_t node = 0;
  for (const char byte : content) {
    const auto [found, is_new] =
        edges_.try_emplace(edge(node, byte), static_cast<uint32_t>(node_token_.size()));
    if (is_new) node_token_.push_back(kNoToken);
    node = found->second;
  }
  node_token_[node] = id;
  first_bytes_.set(static_cast<unsigned char>(content.front()));
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::find(std::string_view text,
                                                              size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!first_bytes_[static_cast<unsigned char>(text[begin])]) continue;
    if (const std::optional<Match> match = longest_at(text, begin)) return match;
  }
  return {};
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::longest_at(std::string_view text,
                                                                    size_t begin) const {
  std::optional<Match> longest;
  uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    const auto next = edges_.find(edge(node, text[at]));
    if (next == edges_.end()) break;
    node = next->second;
    if (node_token_[node] != kNoToken) longest = Match{begin, at + 1, node_token_[node]};
  }
  return longest;
}

}  // namespace fathom::tokenizer
