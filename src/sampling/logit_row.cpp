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

}  // namespace

LogitRowScratch::LogitRowScratch(int64_t vocab_size)
    : maxima(static_cast<size_t>(blocks_of(vocab_size))),
      selected(maxima.size()),
      sums(static_cast<size_t>(chunks_of(vocab_size))) {}

LogitRow::LogitRow(std::span<const float> logits, LogitRowScratch& scratch)
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

void LogitRow::collect(double least, std::vector<Candidate>& candidates) const {
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

double LogitRow::total(const WeightRule& rule) const {
  logit_scan().chunk_sums(logits_.data(), scratch_.maxima.data(),
                          static_cast<int64_t>(logits_.size()), rule, scratch_.sums.data());
  return std::accumulate(scratch_.sums.begin(), scratch_.sums.end(), 0.0);
}

TokenId LogitRow::pick(const WeightRule& rule, double target) const {
  // Rounding may leave the target above all sums: then it is in the last chunk that has any.
  size_t chosen = 0;
  double before = 0.0;
  double sum = 0.0;
  for (size_t chunk = 0; chunk < scratch_.sums.size() && sum <= target; ++chunk) {
    if (scratch_.sums[chunk] == 0.0) continue;
    chosen = chunk;
    before = sum;
    sum += scratch_.sums[chunk];
  }
  const size_t begin = chosen * kChunkTokens;
  const auto count = std::min<size_t>(kChunkTokens, logits_.size() - begin);
  std::array<double, kChunkTokens> weights;
  logit_scan().weigh(logits_.data() + begin, static_cast<int64_t>(count), rule, weights.data());
  TokenId last = *best_token_;
  for (size_t i = 0; i < count && before <= target; ++i) {
    if (weights[i] == 0.0) continue;
    last = static_cast<TokenId>(begin + i);
    before += weights[i];
  }
  return last;
}

}  // namespace fathom::sampling
