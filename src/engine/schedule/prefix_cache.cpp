#include "engine/schedule/prefix_cache.h"

#include <algorithm>
#include <random>

namespace fathom::engine {
namespace {

SipKey random_key() {
  std::random_device device;
  const auto word = [&device] { return uint64_t{device()} << 32 | device(); };
  return {word(), word()};
}

}  // namespace

PrefixKeys random_prefix_keys() {
  return {.salt = random_key(), .block = random_key()};
}

PrefixCache::PrefixCache(const PrefixCacheOptions& options, const PrefixKeys& keys, BlockPool& pool)
    : options_(options), pool_(pool), keys_(keys) {
  message_.reserve(sizeof(Hash128) + sizeof(int64_t) +
                   static_cast<size_t>(options.block_size) * sizeof(TokenId));
}

PrefixMatch PrefixCache::match(Sequence& sequence) {
  PrefixMatch found;
  if (!options_.enabled) return found;
  const int64_t most = sequence.first_row_to_compute() / options_.block_size;
  hash_blocks(sequence, most);
  for (; found.blocks < most; ++found.blocks) {
    const int32_t block = pool_.find(sequence.block_hashes[static_cast<size_t>(found.blocks)]);
    if (block == kNoBlock) break;
    if (!pool_.is_available(block)) ++found.in_use;
  }
  return found;
}

void PrefixCache::adopt(Sequence& sequence, const PrefixMatch& match) {
  for (int64_t i = 0; i < match.blocks; ++i) {
    const int32_t block = pool_.find(sequence.block_hashes[static_cast<size_t>(i)]);
    pool_.share(block);
    sequence.blocks.push_back(block);
  }
  sequence.computed = match.blocks * options_.block_size;
}

void PrefixCache::publish(Sequence& sequence, int64_t computed) {
  if (!options_.enabled) return;
  const int64_t full = sequence.computed / options_.block_size;
  hash_blocks(sequence, full);
  for (int64_t i = computed / options_.block_size; i < full; ++i) {
    const auto at = static_cast<size_t>(i);
    pool_.publish(sequence.blocks[at], sequence.block_hashes[at]);
  }
}

KvGap PrefixCache::gap(Sequence& sequence) {
  if (!options_.enabled) return {};
  const int64_t first = match(sequence).blocks;
  const int64_t rows = std::min(sequence.first_row_to_compute(), sequence.given_size);
  return {first, std::max<int64_t>(rows / options_.block_size - first, 0)};
}

int32_t PrefixCache::begin_fill(Sequence& sequence, int64_t index) {
  hash_blocks(sequence, index + 1);
  const bool known = pool_.find(sequence.block_hashes[static_cast<size_t>(index)]) != kNoBlock;
  return known || pool_.available() == 0 ? kNoBlock : pool_.take();
}

void PrefixCache::end_fill(Sequence& sequence, int64_t first, std::vector<int32_t>& blocks,
                           bool filled) {
  for (size_t i = 0; filled && i < blocks.size(); ++i) {
    pool_.publish(blocks[i], sequence.block_hashes[static_cast<size_t>(first) + i]);
  }
  pool_.release(blocks);
}

void PrefixCache::keep(Sequence& sequence, std::vector<int32_t>& kept) {
  const size_t before = kept.size();
  const int64_t found = match(sequence).blocks;
  for (int64_t i = 0; i < found; ++i) {
    kept.push_back(pool_.find(sequence.block_hashes[static_cast<size_t>(i)]));
  }
  pool_.keep(std::span(kept).subspan(before));
}

void PrefixCache::touch(Sequence& sequence) {
  adopt(sequence, match(sequence));
  pool_.release(sequence.blocks);
  sequence.computed = 0;
}

void PrefixCache::hash_blocks(Sequence& sequence, int64_t count) {
  for (auto i = static_cast<int64_t>(sequence.block_hashes.size()); i < count; ++i) {
    sequence.block_hashes.push_back(hash_of_block(sequence, i));
  }
}

Hash128 PrefixCache::hash_of_block(const Sequence& sequence, int64_t block) {
  const std::string& salt = sequence.cache_salt;
  const Hash128 before =
      block > 0 ? sequence.block_hashes[static_cast<size_t>(block) - 1]
                : sip_hash_128(keys_.salt, std::as_bytes(std::span(salt.data(), salt.size())));
  const int64_t begin = block * options_.block_size;
  const int64_t given =
      options_.exact ? std::clamp<int64_t>(sequence.given_size - begin, 0, options_.block_size) : 0;
  message_.clear();
  append(&before, sizeof(before));
  append(&given, sizeof(given));
  append(sequence.tokens.data() + begin,
         static_cast<size_t>(options_.block_size) * sizeof(TokenId));
  return sip_hash_128(keys_.block, message_);
}

void PrefixCache::append(const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  message_.insert(message_.end(), bytes, bytes + size);
}

}  // namespace fathom::engine
