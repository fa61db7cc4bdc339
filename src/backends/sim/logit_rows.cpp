#include "backends/sim/logit_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "sampling/adjust.h"
#include "sampling/contract_draw.h"

namespace fathom::sim {
namespace {

// So far above 0 that sampling takes one of them.
constexpr float kBestLogit = 24;
constexpr float kLogitStep = 1.5f;  // from one to the next

bool is_allowed(std::span<const uint32_t> mask, int32_t token) {
  const auto bit = static_cast<uint32_t>(token);
  return mask.empty() || (mask[bit / 32] >> bit % 32 & 1) != 0;
}

// Of tokens [begin, end).
uint64_t count_allowed(std::span<const uint32_t> mask, int64_t begin, int64_t end) {
  if (mask.empty() || begin >= end) return static_cast<uint64_t>(std::max<int64_t>(end - begin, 0));
  const auto below = [](int64_t bit) { return (uint32_t{1} << bit % 32) - 1; };
  const auto first = static_cast<size_t>(begin / 32);
  const auto last = static_cast<size_t>(end / 32);
  uint64_t count = 0;
  for (size_t word = first; word < last; ++word) {
    count += static_cast<uint64_t>(std::popcount(mask[word]));
  }
  count -= static_cast<uint64_t>(std::popcount(mask[first] & below(begin)));
  if (end % 32 != 0) count += static_cast<uint64_t>(std::popcount(mask[last] & below(end)));
  return count;
}

std::span<const uint32_t> mask_of(const fathom_sample_args& args, const fathom_draw& draw) {
  if (draw.mask < 0) return {};
  const auto words = static_cast<size_t>(args.logits.shape[1] + 31) / 32;
  return {args.masks + static_cast<size_t>(draw.mask) * words, words};
}

template <typename Token>
bool token_ranks_before(const Token& a, const Token& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

}  // namespace

void standing_out(RowState state, int64_t vocab, std::span<StandingOut, kStandingOut> tokens) {
  uint64_t random = state.bits;
  for (int i = 0; i < kStandingOut; ++i) {
    random = scramble(random);
    const int place = kStandingOut - 1 - i;
    tokens[static_cast<size_t>(i)] = {static_cast<int32_t>(random % static_cast<uint64_t>(vocab)),
                                      kBestLogit - kLogitStep * static_cast<float>(place)};
  }
}

void write_logits(float* row, int64_t vocab, RowState state) {
  std::fill_n(row, vocab, 0.0f);
  std::array<StandingOut, kStandingOut> tokens;
  standing_out(state, vocab, tokens);
  for (const auto& [token, logit] : tokens) row[token] = logit;
}

void LogitRows::write(float* row, int64_t vocab, RowState state) {
  Row& written = rows_[reinterpret_cast<const std::byte*>(row)];
  if (written.vocab != vocab) {
    write_logits(row, vocab, state);
  } else {
    std::array<StandingOut, kStandingOut> tokens;
    standing_out(written.state, vocab, tokens);
    for (const auto& one : tokens) row[one.token] = 0;
    standing_out(state, vocab, tokens);
    for (const auto& [token, logit] : tokens) row[token] = logit;
  }
  written = {vocab, state};
}

void LogitRows::forget(const void* memory, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(memory);
  auto at = rows_.lower_bound(begin);
  while (at != rows_.begin()) {
    const auto before = std::prev(at);
    if (before->first + static_cast<size_t>(before->second.vocab) * sizeof(float) <= begin) break;
    at = before;
  }
  while (at != rows_.end() && at->first < begin + bytes) at = rows_.erase(at);
}

std::optional<int32_t> LogitRows::draw(const fathom_sample_args& args, const fathom_draw& draw) {
  const auto found = rows_.find(row_of(args.logits, draw.logit_row));
  if (found == rows_.end() || found->second.vocab != args.logits.shape[1]) return std::nullopt;
  const sampling::Terms terms = sampling::terms_of_draw(draw);
  collect(args, draw, found->second, terms);
  return draw_from_few(draw, terms, mask_of(args, draw), found->second.vocab);
}

// The tokens that stand out or that something changes, by rising token; ruled out: -infinity.
void LogitRows::collect(const fathom_sample_args& args, const fathom_draw& draw, const Row& row,
                        const sampling::Terms& terms) {
  changed_.resize(static_cast<size_t>(std::max<int64_t>(row.vocab, std::ssize(changed_))));
  touched_.clear();
  sampling::AdjustedRow adjusted(std::span<float>(changed_), terms);
  std::array<StandingOut, kStandingOut> tokens;
  standing_out(row.state, row.vocab, tokens);
  for (const auto& [token, logit] : tokens) {
    changed_[static_cast<size_t>(token)] = logit;
    touched_.push_back(token);
  }
  for (const auto& [token, count] :
       sampling::part_of_list(args.seen, draw.seen_begin, draw.seen_count)) {
    adjusted.penalise(token, count);
    touched_.push_back(token);
  }
  for (const auto& [token, bias] :
       sampling::part_of_list(args.biases, draw.bias_begin, draw.bias_count)) {
    adjusted.add_bias(token, bias);
    touched_.push_back(token);
  }
  for (const int32_t token :
       sampling::part_of_list(args.banned, draw.banned_begin, draw.banned_count)) {
    adjusted.ban(token);
    touched_.push_back(token);
  }
  std::ranges::sort(touched_);
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  const auto mask = mask_of(args, draw);
  few_.clear();
  for (const int32_t token : touched_) {
    float& logit = changed_[static_cast<size_t>(token)];
    few_.push_back({token, is_allowed(mask, token) ? logit : -INFINITY, 0});
    logit = 0;
  }
}

std::optional<int32_t> LogitRows::draw_from_few(const fathom_draw& draw,
                                                const sampling::Terms& terms,
                                                std::span<const uint32_t> mask, int64_t vocab) {
  const Few best = *std::ranges::min_element(few_, token_ranks_before<Few>);
  if (!(best.logit > 0)) return std::nullopt;
  if (terms.greedy) return best.token;
  const auto weight_at = [&](float logit) -> uint64_t {
    if (!std::isfinite(logit)) return 0;
    const float exponent = sampling::exponent_of(logit, best.logit, terms.inverse_temperature);
    return exponent < terms.least_exponent ? 0 : sampling::weight_of(exponent);
  };
  uint64_t few_allowed = 0;
  for (Few& one : few_) {
    one.weight = weight_at(one.logit);
    few_allowed += is_allowed(mask, one.token) ? 1 : 0;
  }
  uint64_t zero = weight_at(0);  // of each token that is not among the few
  const uint64_t zeros = zero == 0 ? 0 : zero * (count_allowed(mask, 0, vocab) - few_allowed);
  if (terms.top_k > 0 || terms.share > 0) {
    if (!narrow(terms, zeros)) return std::nullopt;
    zero = 0;
  }
  uint64_t total = zero == 0 ? 0 : zeros;
  for (const Few& one : few_) total += one.weight;
  uint64_t target = sampling::target_of(total, draw.noise);
  int64_t next = 0;
  for (const Few& one : few_) {
    const uint64_t between = zero == 0 ? 0 : zero * count_allowed(mask, next, one.token);
    if (target < between) return std::nullopt;
    target -= between;
    if (target < one.weight) return one.token;
    target -= one.weight;
    next = int64_t{one.token} + 1;
  }
  return std::nullopt;
}

// Leaves their weights to those that top_k and top_p leave, if all of them stand above 0. `zeros`:
// what all tokens weigh that are not among the few.
bool LogitRows::narrow(const sampling::Terms& terms, uint64_t zeros) {
  ranked_.clear();
  uint64_t total = zeros;
  bool more = zeros > 0;  // tokens that weigh something rank behind these
  for (const Few& one : few_) {
    total += one.weight;
    if (one.weight > 0 && one.logit > 0) ranked_.push_back(one);
    more = more || (one.weight > 0 && one.logit <= 0);
  }
  std::ranges::sort(ranked_, token_ranks_before<Few>);
  const auto top_k = static_cast<size_t>(std::max(terms.top_k, 0));
  if (top_k > ranked_.size() && more) return false;
  if (top_k > 0 && top_k <= ranked_.size()) {
    ranked_.resize(top_k);
    total = 0;
    for (const Few& one : ranked_) total += one.weight;
    more = false;
  }
  if (terms.share > 0) {
    const uint64_t needed = sampling::share_of(total, terms.share);
    uint64_t held = 0;
    size_t kept = 0;
    while (held < needed && kept < ranked_.size()) held += ranked_[kept++].weight;
    if (held < needed) return false;
    ranked_.resize(kept);
  } else if (more) {
    return false;
  }
  for (Few& one : few_) {
    if (token_ranks_before(ranked_.back(), one)) one.weight = 0;
  }
  return true;
}

}  // namespace fathom::sim
