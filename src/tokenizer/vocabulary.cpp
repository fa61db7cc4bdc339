#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace fathom::tokenizer {
namespace {

// Mixes 8 bytes into the hash: multiply by an odd constant, fold the high half back in.
uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return hash ^ hash >> 32;
}

}  // namespace

uint64_t Vocabulary::hash_of(std::string_view bytes) {
  uint64_t hash = bytes.size();
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (uint64_t word; left >= sizeof(word); at += sizeof(word), left -= sizeof(word)) {
    std::memcpy(&word, at, sizeof(word));
    hash = mix(hash, word);
  }
  uint64_t tail = 0;
  std::memcpy(&tail, at, left);
  return mix(mix(hash, tail), 0);
}

Vocabulary::Vocabulary(const std::vector<Entry>& entries, TokenId size) : tokens_(size) {
  size_t findable = 0;
  size_t total_bytes = 0;
  for (const Entry& entry : entries) {
    FATHOM_CHECK(entry.id >= 0 && entry.id < size, "vocabulary: an id is out of range");
    findable += entry.findable ? 1 : 0;
    total_bytes += entry.bytes.size();
  }
  FATHOM_CHECK(total_bytes <= UINT32_MAX, "vocabulary: more than 4 GiB of token bytes");
  arena_.reserve(total_bytes);
  slots_.assign(std::bit_ceil(2 * findable + 1), Slot{});
  slot_mask_ = slots_.size() - 1;
  for (const Entry& entry : entries) {
    tokens_[entry.id] = {static_cast<uint32_t>(arena_.size()),
                         static_cast<uint32_t>(entry.bytes.size())};
    arena_ += entry.bytes;
    if (!entry.findable) continue;
    const uint64_t hash = hash_of(entry.bytes);
    size_t at = hash & slot_mask_;
    while (slots_[at].id != kNoToken) at = (at + 1) & slot_mask_;
    slots_[at] = {static_cast<uint32_t>(hash >> 32), entry.id};
  }
}

}  // namespace fathom::tokenizer
