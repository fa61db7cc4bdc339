#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "base/check.h"

namespace fathom::tokenizer {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};
constexpr uint32_t kNoRank = ~uint32_t{0};
// Up to this many bytes, looking at all pairs for the lowest is faster than keeping a heap.
constexpr size_t kShortPiece = 64;

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, const std::array<TokenId, 256>& byte_tokens,
         const std::vector<MergeRule>& rules, bool ignore_merges)
    : vocabulary_(std::move(vocabulary)), byte_tokens_(byte_tokens) {
  const size_t slots = std::bit_ceil(std::max<size_t>(2, 2 * rules.size()));
  pairs_.resize(slots);
  pair_shift_ = 64 - std::countr_zero(slots);
  for (size_t rank = 0; rank < rules.size(); ++rank) {
    add_rule(rules[rank], static_cast<uint32_t>(rank));
  }
  mark_whole_tokens(ignore_merges);
}

size_t Bpe::first_slot(uint64_t pair) const {
  return (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u >> pair_shift_;
}

void Bpe::add_rule(const MergeRule& rule, uint32_t rank) {
  const uint64_t pair = pair_of(rule.left, rule.right);
  size_t at = first_slot(pair);
  while (pairs_[at].pair != kNoPair && pairs_[at].pair != pair) at = (at + 1) % pairs_.size();
  pairs_[at] = {pair, rank, rule.result};
}

// The rule's slot, or an empty one (its pair is kNoPair).
const Bpe::PairSlot& Bpe::find_pair(TokenId left, TokenId right) const {
  const uint64_t pair = pair_of(left, right);
  size_t at = first_slot(pair);
  while (pairs_[at].pair != kNoPair && pairs_[at].pair != pair) {
    at = (at + 1) & (pairs_.size() - 1);
  }
  return pairs_[at];
}

void Bpe::mark_whole_tokens(bool ignore_merges) {
  is_whole_.assign(vocabulary_.size(), false);
  Scratch scratch;
  std::vector<TokenId> merged;
  for (TokenId id = 0; id < vocabulary_.size(); ++id) {
    const std::string_view bytes = vocabulary_.bytes(id);
    if (bytes.empty() || vocabulary_.find(bytes) != id) continue;
    if (!ignore_merges) {
      merged.clear();
      encode(bytes, scratch, merged);
    }
    is_whole_[id] = ignore_merges || (merged.size() == 1 && merged[0] == id);
  }
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const {
  FATHOM_CHECK(piece.size() < kNone, "bpe: a piece of 4 GiB or more");
  const TokenId whole = vocabulary_.find(piece);
  if (whole != kNoToken && is_whole_[whole]) {
    out.push_back(whole);
  } else if (piece.size() <= kShortPiece) {
    merge_short(piece, out);
  } else {
    merge_long(piece, scratch, out);
  }
}

void Bpe::merge_short(std::string_view piece, std::vector<TokenId>& out) const {
  std::array<TokenId, kShortPiece> ids;
  std::array<uint32_t, kShortPiece> ranks;  // of the pair of a place and the next one
  size_t count = piece.size();
  for (size_t i = 0; i < count; ++i) ids[i] = byte_tokens_[static_cast<unsigned char>(piece[i])];
  const auto rank_at = [&](size_t i) {
    if (i + 1 >= count) return kNoRank;
    const PairSlot& slot = find_pair(ids[i], ids[i + 1]);
    return slot.pair == kNoPair ? kNoRank : slot.rank;
  };
  for (size_t i = 0; i < count; ++i) ranks[i] = rank_at(i);
  while (true) {
    const size_t best = std::min_element(ranks.begin(), ranks.begin() + count) - ranks.begin();
    if (ranks[best] == kNoRank) break;
    ids[best] = find_pair(ids[best], ids[best + 1]).result;
    std::copy(ids.begin() + best + 2, ids.begin() + count, ids.begin() + best + 1);
    std::copy(ranks.begin() + best + 2, ranks.begin() + count, ranks.begin() + best + 1);
    --count;
    ranks[best] = rank_at(best);
    if (best > 0) ranks[best - 1] = rank_at(best - 1);
  }
  out.insert(out.end(), ids.begin(), ids.begin() + count);
}

// The rule for the symbol at `place` and its right neighbour; an empty slot if there is none.
const Bpe::PairSlot& Bpe::pair_at(uint32_t place, const Scratch& scratch) const {
  const Scratch::Symbol& symbol = scratch.symbols[place];
  const TokenId right = symbol.next == kNone ? kNoToken : scratch.symbols[symbol.next].id;
  return find_pair(symbol.id, right);
}

void Bpe::add_candidate(uint32_t place, Scratch& scratch) const {
  const PairSlot& slot = pair_at(place, scratch);
  if (slot.pair == kNoPair) return;
  scratch.heap.push_back(uint64_t{slot.rank} << 32 | place);
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
  ++scratch.candidates_seen;
}

// Merges the symbol at `place` with its right neighbour, which becomes kNoToken: in no rule.
void Bpe::merge_at(uint32_t place, TokenId result, Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  Scratch::Symbol& left = symbols[place];
  Scratch::Symbol& right = symbols[left.next];
  left.id = result;
  left.next = right.next;
  if (right.next != kNone) symbols[right.next].previous = place;
  right.id = kNoToken;
  add_candidate(place, scratch);
  if (left.previous != kNone) add_candidate(left.previous, scratch);
}

void Bpe::merge_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  const auto size = static_cast<uint32_t>(piece.size());
  for (uint32_t i = 0; i < size; ++i) {
    symbols.push_back({byte_tokens_[static_cast<unsigned char>(piece[i])], i == 0 ? kNone : i - 1,
                       i + 1 == size ? kNone : i + 1});
  }
  for (uint32_t i = 0; i < size; ++i) add_candidate(i, scratch);
  while (!heap.empty()) {
    const uint64_t best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.pop_back();
    const auto place = static_cast<uint32_t>(best);
    // The candidate is stale if either side has been merged since: then the pair has another rank.
    const PairSlot& slot = pair_at(place, scratch);
    if (slot.pair != kNoPair && slot.rank == best >> 32) merge_at(place, slot.result, scratch);
  }
  for (uint32_t i = 0; i != kNone; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace fathom::tokenizer
