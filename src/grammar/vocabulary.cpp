#include "grammar/vocabulary.h"

#include <algorithm>
#include <array>

namespace fathom::grammar {
namespace {

// Characters of the longest tokens in the buckets of a class. Longer tokens are in the first
// bucket.
constexpr std::array<size_t, 10> kBucketCharacters = {1, 2, 3, 4, 6, 8, 12, 16, 32, kMaxRun};
constexpr size_t kMaxTokenBytes = 4096;  // a longer token is never allowed
// Ids below which tokens are among the frequent ones of each trie.
constexpr std::array<TokenId, 3> kFrequentIds = {1024, 4096, 16384};

size_t bucket_of(std::string_view bytes) {
  const auto text = classify_text(bytes);
  if (!text.has_value() || text->characters > kBucketCharacters.back()) return 0;
  const auto place =
      std::lower_bound(kBucketCharacters.begin(), kBucketCharacters.end(), text->characters);
  return 1 + static_cast<size_t>(text->text_class) * kBucketCharacters.size() +
         static_cast<size_t>(place - kBucketCharacters.begin());
}

std::vector<Vocabulary::Bucket> empty_buckets() {
  std::vector<Vocabulary::Bucket> buckets(1);
  for (const TextClass text_class : kTextClasses) {
    size_t least = 1;
    for (const size_t most : kBucketCharacters) {
      buckets.push_back({text_class, least, most, {}, {}});
      least = most + 1;
    }
  }
  return buckets;
}

// Returns the tokens that have no node of their own.
std::vector<Vocabulary::Twin> lay_out(const Vocabulary& vocabulary, std::vector<TokenId> ids,
                                      Vocabulary::Trie& trie) {
  std::sort(ids.begin(), ids.end(),
            [&](TokenId a, TokenId b) { return vocabulary.bytes(a) < vocabulary.bytes(b); });
  std::vector<Vocabulary::Twin> twins;
  std::vector<uint32_t> open;  // the nodes down to the last one
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      trie.nodes[open.back()].skip = static_cast<uint32_t>(trie.nodes.size());
    }
  };
  std::string_view last;
  for (const TokenId token : ids) {
    const std::string_view bytes = vocabulary.bytes(token);
    const size_t common = static_cast<size_t>(
        std::mismatch(last.begin(), last.end(), bytes.begin(), bytes.end()).first - last.begin());
    close(common);
    for (size_t depth = common; depth < bytes.size(); ++depth) {
      open.push_back(static_cast<uint32_t>(trie.nodes.size()));
      trie.nodes.push_back(
          {0, 0, static_cast<uint16_t>(depth + 1), static_cast<uint8_t>(bytes[depth]), 0});
    }
    Vocabulary::Node& node = trie.nodes.back();
    if (node.has_token != 0) {
      twins.push_back({token, node.token});
    } else {
      node.token = token;
      node.has_token = 1;
    }
    trie.depth = std::max(trie.depth, node.depth);
    last = bytes;
  }
  close(0);
  return twins;
}

}  // namespace

std::shared_ptr<const Vocabulary> Vocabulary::build(std::span<const std::string_view> tokens,
                                                    std::vector<TokenId> end_tokens) {
  std::shared_ptr<Vocabulary> result(new Vocabulary());
  result->offsets_.push_back(0);
  result->buckets_ = empty_buckets();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view bytes = tokens[id];
    result->text_.insert(result->text_.end(), bytes.begin(), bytes.end());
    result->offsets_.push_back(result->text_.size());
  }
  // An end token may stand for bytes in the tokenizer; here it only ends.
  std::erase_if(end_tokens,
                [&](TokenId id) { return id < 0 || static_cast<size_t>(id) >= tokens.size(); });
  result->end_tokens_ = std::move(end_tokens);
  std::vector<std::vector<TokenId>> ids(result->buckets_.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto token = static_cast<TokenId>(id);
    if (result->usable(token)) ids[bucket_of(tokens[id])].push_back(token);
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    Bucket& bucket = result->buckets_[i];
    bucket.mask.assign(result->mask_words(), 0);
    for (const TokenId token : ids[i]) {
      const auto id = static_cast<uint32_t>(token);
      bucket.mask[id / 32] |= 1U << id % 32;
    }
    const std::vector<Twin> twins = lay_out(*result, std::move(ids[i]), bucket.trie);
    result->twins_.insert(result->twins_.end(), twins.begin(), twins.end());
  }
  result->lay_out_frequent();
  return result;
}

void Vocabulary::lay_out_frequent() {
  const auto add = [this](auto&& chosen) {
    std::vector<TokenId> ids;
    for (size_t id = 0; id < size(); ++id) {
      const auto token = static_cast<TokenId>(id);
      if (usable(token) && chosen(token)) ids.push_back(token);
    }
    lay_out(*this, std::move(ids), frequent_.emplace_back());
  };
  add([this](TokenId token) { return bytes(token).size() == 1; });
  for (const TokenId most : kFrequentIds) add([most](TokenId token) { return token < most; });
}

std::string_view Vocabulary::bytes(TokenId id) const {
  const auto index = static_cast<size_t>(id);
  return {text_.data() + offsets_[index], offsets_[index + 1] - offsets_[index]};
}

bool Vocabulary::usable(TokenId id) const {
  const size_t length = bytes(id).size();
  return length > 0 && length <= kMaxTokenBytes && !is_end(id);
}

bool Vocabulary::is_end(TokenId id) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), id) != end_tokens_.end();
}

}  // namespace fathom::grammar
