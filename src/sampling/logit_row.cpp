#include "sampling/logit_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace fathom::sampling {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

template <typename T>
size_t padded_bytes(int64_t count) {
  const size_t bytes = static_cast<size_t>(count) * sizeof(T);
  return (bytes + RowScratch::kAlignment - 1) / RowScratch::kAlignment * RowScratch::kAlignment;
}

template <typename T>
std::span<T> take(std::byte*& memory, int64_t count) {
  auto* first = reinterpret_cast<T*>(memory);
  memory += padded_bytes<T>(count);
  return {first, static_cast<size_t>(count)};
}

}  // namespace

size_t RowScratch::bytes(int64_t vocab_size) {
  return padded_bytes<float>(vocab_size) + padded_bytes<Candidate>(vocab_size) +
         2 * padded_bytes<float>(blocks_of(vocab_size)) +
         padded_bytes<uint64_t>(chunks_of(vocab_size));
}

RowScratch::RowScratch(int64_t vocab_size, std::byte* memory)
    : logits(take<float>(memory, vocab_size)),
      candidates(take<Candidate>(memory, vocab_size)),
      maxima(take<float>(memory, blocks_of(vocab_size))),
      selected(take<float>(memory, blocks_of(vocab_size))),
      sums(take<uint64_t>(memory, chunks_of(vocab_size))) {}

LogitRow::LogitRow(std::span<const float> logits, RowScratch& scratch)
    : logits_(logits), scratch_(scratch) {
  logit_scan().block_maxima(logits.data(), static_cast<int64_t>(logits.size()),
                            scratch.maxima.data());
  const auto top = std::max_element(scratch.maxima.begin(), scratch.maxima.end());
  if (*top == kNone) return;
  best_ = *top;
  const auto block = (top - scratch.maxima.begin()) * kBlockTokens;
  const auto found = std::find(logits.begin() + block, logits.end(), best_);
  best_token_ = static_cast<TokenId>(found - logits.begin());
}

void LogitRow::collect(float least, CandidateList& candidates) const {
  for (size_t block = 0; block < scratch_.maxima.size(); ++block) {
    if (!(scratch_.maxima[block] >= least)) continue;
    const size_t begin = block * kBlockTokens;
    const size_t end = std::min(logits_.size(), begin + kBlockTokens);
    for (size_t i = begin; i < end; ++i) {
      const float logit = logits_[i];
      // Above the best: infinity.
      if (logit >= least && logit <= best_) {
        candidates.push_back({logit, static_cast<TokenId>(i)});
      }
    }
  }
}

float LogitRow::reached_by(size_t count) const {
  if (count > scratch_.maxima.size()) return kNone;
  std::copy(scratch_.maxima.begin(), scratch_.maxima.end(), scratch_.selected.begin());
  const auto at = scratch_.selected.begin() + static_cast<ptrdiff_t>(count) - 1;
  std::nth_element(scratch_.selected.begin(), at, scratch_.selected.end(), std::greater<>());
  return *at;
}

size_t LogitRow::weigh_block(size_t block, const WeightRule& rule, uint64_t* weights) const {
  const size_t begin = block * kBlockTokens;
  const size_t count = std::min<size_t>(kBlockTokens, logits_.size() - begin);
  logit_scan().weigh(logits_.data() + begin, static_cast<int64_t>(count), rule, weights);
  return count;
}

uint64_t LogitRow::total(const WeightRule& rule, std::span<const Candidate> left_out) const {
  logit_scan().chunk_sums(logits_.data(), scratch_.maxima.data(),
                          static_cast<int64_t>(logits_.size()), rule, scratch_.sums.data());
  const uint64_t each = weight_of(exponent_of(rule.least, rule));
  for (const Candidate& one : left_out) {
    scratch_.sums[static_cast<size_t>(one.token / kChunkTokens)] -= each;
  }
  return std::accumulate(scratch_.sums.begin(), scratch_.sums.end(), uint64_t{0});
}

TokenId LogitRow::pick(const WeightRule& rule, uint64_t target,
                       std::span<const Candidate> left_out) const {
  size_t chunk = 0;
  while (target >= scratch_.sums[chunk]) target -= scratch_.sums[chunk++];

  constexpr size_t kBlocks = kChunkTokens / kBlockTokens;
  std::array<uint64_t, kChunkTokens> weights = {};
  for (size_t i = 0; i < kBlocks && chunk * kBlocks + i < scratch_.maxima.size(); ++i) {
    const size_t block = chunk * kBlocks + i;
    if (!(scratch_.maxima[block] >= rule.least)) continue;
    weigh_block(block, rule, weights.data() + i * kBlockTokens);
  }
  for (const Candidate& one : left_out) {
    if (static_cast<size_t>(one.token / kChunkTokens) == chunk) {
      weights[static_cast<size_t>(one.token % kChunkTokens)] = 0;
    }
  }
  size_t i = 0;
  while (target >= weights[i]) target -= weights[i++];
  return static_cast<TokenId>(chunk * kChunkTokens + i);
}

}  // namespace fathom::sampling
