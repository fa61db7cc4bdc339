// One row of logits, with what sampling and log-probabilities both ask of it. A logit that is not
// finite counts as none.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sampling/logit_scan.h"
#include "sampling/rule.h"

namespace fathom::sampling {

struct Candidate {
  float logit = 0.0f;
  TokenId token = 0;
  uint64_t weight = 0;
};

// Equal logits rank by token id.
inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// Candidates in memory that is somebody else's, no more than it has room for.
class CandidateList {
 public:
  explicit CandidateList(std::span<Candidate> room) : room_(room) {}

  Candidate* begin() const { return room_.data(); }
  Candidate* end() const { return room_.data() + size_; }
  Candidate* data() const { return room_.data(); }
  size_t size() const { return size_; }

  void clear() { size_ = 0; }
  void push_back(const Candidate& candidate) { room_[size_++] = candidate; }
  template <typename Predicate>
  void erase_if(const Predicate& predicate) {
    size_ = static_cast<size_t>(std::remove_if(begin(), end(), predicate) - begin());
  }

 private:
  std::span<Candidate> room_;
  size_t size_ = 0;
};

// Working space for one row of a vocabulary, in memory that is somebody else's.
struct RowScratch {
  static constexpr size_t kAlignment = 16;
  static size_t bytes(int64_t vocab_size);
  // `memory` has so many bytes, of any contents.
  RowScratch(int64_t vocab_size, std::byte* memory);

  std::span<float> logits;    // [vocab]
  CandidateList candidates;   // room for vocab
  std::span<float> maxima;    // [blocks]
  std::span<float> selected;  // [blocks]
  std::span<uint64_t> sums;   // [chunks]
};

class LogitRow {
 public:
  // Both must outlive it; `scratch`'s maxima, selected and sums are its own meanwhile.
  LogitRow(std::span<const float> logits, RowScratch& scratch);

  // The first token of the greatest logit.
  std::optional<TokenId> best_token() const { return best_token_; }
  float best() const { return best_; }

  // Appends the tokens whose logit is `least` or more, in their order, without weights.
  void collect(float least, CandidateList& candidates) const;
  // A logit that `count` tokens or more reach; -infinity where no such was found.
  float reached_by(size_t count) const;
  // body(logit, weight) for each token from rule.least on, in their order.
  template <typename Body>
  void for_weights(const WeightRule& rule, const Body& body) const {
    std::array<uint64_t, kBlockTokens> weights;
    for (size_t block = 0; block < scratch_.maxima.size(); ++block) {
      if (!(scratch_.maxima[block] >= rule.least)) continue;
      const size_t begin = block * kBlockTokens;
      const size_t count = weigh_block(block, rule, weights.data());
      for (size_t i = 0; i < count; ++i) {
        if (weights[i] != 0) body(logits_[begin + i], weights[i]);
      }
    }
  }
  // The sum of all weights but those of `left_out`, tokens whose logit is rule.least; the chunks'
  // are kept for pick().
  uint64_t total(const WeightRule& rule, std::span<const Candidate> left_out = {}) const;
  // After total() with the same: the first token at which the sum of weights is above `target`,
  // which the total is above.
  TokenId pick(const WeightRule& rule, uint64_t target, std::span<const Candidate> left_out) const;

 private:
  // Gives how many tokens the block has.
  size_t weigh_block(size_t block, const WeightRule& rule, uint64_t* weights) const;

  std::span<const float> logits_;
  RowScratch& scratch_;
  std::optional<TokenId> best_token_;
  float best_ = 0;
};

}  // namespace fathom::sampling
