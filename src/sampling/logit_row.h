// One row of logits, with what sampling and log-probabilities both ask of it. A logit that is not
// finite counts as none.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "sampling/logit_scan.h"
#include "sampling/rule.h"

namespace fathom::sampling {

struct Candidate {
  float logit = 0.0f;
  TokenId token = 0;
  double weight = 0.0;  // probability before it is normalised; the best token's is 1
};

// Equal logits rank by token id.
inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// Working space, made once for a vocabulary.
struct LogitRowScratch {
  explicit LogitRowScratch(int64_t vocab_size);

  std::vector<float> maxima;    // [blocks]
  std::vector<float> selected;  // [blocks]
  std::vector<double> sums;     // [chunks]
};

class LogitRow {
 public:
  // Both must outlive it.
  LogitRow(std::span<const float> logits, LogitRowScratch& scratch);

  // The first token of the greatest logit.
  std::optional<TokenId> best_token() const { return best_token_; }
  float best() const { return best_; }

  // Appends the tokens whose logit is `least` or more, in their order, without weights.
  void collect(double least, std::vector<Candidate>& candidates) const;
  // A logit that `count` tokens or more reach; -infinity where no such was found.
  float reached_by(size_t count) const;
  // body(logit, weight) for each token that weighs something, in their order.
  template <typename Body>
  void for_weights(const WeightRule& rule, const Body& body) const {
    std::array<double, kBlockTokens> weights;
    for (size_t block = 0; block < scratch_.maxima.size(); ++block) {
      if (!(scratch_.maxima[block] >= rule.least)) continue;
      const size_t begin = block * kBlockTokens;
      const size_t count = std::min<size_t>(kBlockTokens, logits_.size() - begin);
      logit_scan().weigh(logits_.data() + begin, static_cast<int64_t>(count), rule, weights.data());
      for (size_t i = 0; i < count; ++i) {
        if (weights[i] > 0.0) body(logits_[begin + i], weights[i]);
      }
    }
  }
  // The sum of all weights; the chunks' are kept for pick().
  double total(const WeightRule& rule) const;
  // After total(): the first token at which the sum of weights is above `target`.
  TokenId pick(const WeightRule& rule, double target) const;

 private:
  std::span<const float> logits_;
  LogitRowScratch& scratch_;
  std::optional<TokenId> best_token_;
  float best_ = 0;
};

}  // namespace fathom::sampling
