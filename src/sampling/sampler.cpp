#include "sampling/sampler.h"

#include <algorithm>

#include "sampling/adjust.h"
#include "sampling/noise.h"
#include "sampling/nucleus.h"

namespace fathom::sampling {
namespace {

// The last-ranked of the tokens from rule.least on that top_k and top_p leave. All tokens with its
// logit are among `candidates` then.
Candidate narrow(const LogitRow& row, const Terms& terms, const WeightRule& rule,
                 std::vector<Candidate>& candidates) {
  if (terms.top_k <= 0) return last_of_nucleus(row, rule, terms.share, candidates);
  const auto top_k = static_cast<size_t>(terms.top_k);
  candidates.clear();
  row.collect(std::max(rule.least, row.reached_by(top_k)), candidates);
  std::span<Candidate> kept = candidates;
  if (top_k < kept.size()) {
    std::nth_element(kept.begin(), kept.begin() + (terms.top_k - 1), kept.end(), ranks_before);
    kept = kept.first(top_k);
  }
  if (terms.share > 0) {
    const uint64_t total = weigh(kept, rule);
    kept = kept.first(nucleus(kept, share_of(total, terms.share)));
  }
  return *std::max_element(kept.begin(), kept.end(), ranks_before);
}

}  // namespace

SamplerScratch::SamplerScratch(int64_t vocab_size)
    : logits(static_cast<size_t>(vocab_size)),
      counts(static_cast<size_t>(vocab_size), 0),
      mask((static_cast<size_t>(vocab_size) + 31) / 32),
      row(vocab_size) {
  candidates.reserve(static_cast<size_t>(vocab_size));
}

std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch) {
  const Terms terms = terms_of(draw.params);
  const LogitRow row(adjusted(logits, draw, terms, scratch.logits, scratch.counts), scratch.row);
  if (!row.best_token() || terms.greedy) return row.best_token();

  WeightRule rule = weight_rule(row.best(), terms.inverse_temperature, terms.least_exponent);
  std::vector<Candidate>& left_out = scratch.candidates;
  left_out.clear();
  if (terms.top_k > 0 || terms.share > 0) {
    const Candidate last = narrow(row, terms, rule, left_out);
    rule.least = last.logit;
    std::erase_if(left_out, [&](const Candidate& one) {
      return one.logit != last.logit || one.token <= last.token;
    });
  }
  const uint64_t total = row.total(rule, left_out);
  return row.pick(rule, target_of(total, noise_bits(draw.seed, draw.position())), left_out);
}

}  // namespace fathom::sampling
