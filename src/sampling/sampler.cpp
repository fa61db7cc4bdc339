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
                 CandidateList& candidates) {
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
    : memory(RowScratch::bytes(vocab_size)),
      row(vocab_size, memory.data()),
      counts(static_cast<size_t>(vocab_size), 0),
      mask((static_cast<size_t>(vocab_size) + 31) / 32) {}

std::optional<TokenId> draw_token(std::span<const float> adjusted, const Terms& terms,
                                  uint64_t noise, RowScratch& scratch) {
  const LogitRow row(adjusted, scratch);
  if (!row.best_token() || terms.greedy) return row.best_token();

  WeightRule rule = weight_rule(row.best(), terms.inverse_temperature, terms.least_exponent);
  CandidateList& left_out = scratch.candidates;
  left_out.clear();
  if (terms.top_k > 0 || terms.share > 0) {
    const Candidate last = narrow(row, terms, rule, left_out);
    rule.least = last.logit;
    left_out.erase_if(
        [&](const Candidate& one) { return one.logit != last.logit || one.token <= last.token; });
  }
  const uint64_t total = row.total(rule, left_out);
  return row.pick(rule, target_of(total, noise), left_out);
}

std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch) {
  const Terms terms = terms_of(draw.params);
  return draw_token(adjusted(logits, draw, terms, scratch.row.logits, scratch.counts), terms,
                    noise_bits(draw.seed, draw.position()), scratch.row);
}

}  // namespace fathom::sampling
