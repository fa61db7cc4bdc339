// Draws of the sampling rule's tests in the contract's words.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "device/abi.h"
#include "sampling/noise.h"
#include "sampling/testing/cases.h"

namespace fathom::cpu::test {

// Made as plainly as the contract describes them.
struct Lists {
  std::vector<fathom_draw> draws;
  std::vector<uint32_t> masks;
  std::vector<fathom_seen_token> seen;
  std::vector<fathom_token_bias> biases;
  std::vector<int32_t> banned;

  template <typename T>
  static int32_t size_of(const std::vector<T>& list) {
    return static_cast<int32_t>(list.size());
  }

  void add(const sampling::Case& c, int32_t row) {
    const sampling::Terms terms = sampling::terms_of(c.params);
    fathom_draw draw = {};
    draw.share = terms.share;
    draw.noise = sampling::noise_bits(c.seed, c.of_draw().position());
    draw.logit_row = row;
    draw.greedy = terms.greedy ? 1 : 0;
    draw.repetition_penalty = terms.repetition_penalty;
    draw.inverse_repetition_penalty = terms.inverse_repetition_penalty;
    draw.presence_penalty = terms.presence_penalty;
    draw.frequency_penalty = terms.frequency_penalty;
    draw.inverse_temperature = terms.inverse_temperature;
    draw.least_exponent = terms.least_exponent;
    draw.top_k = terms.top_k;
    draw.mask = -1;
    if (!c.mask.empty()) {
      draw.mask = size_of(masks) / size_of(c.mask);
      masks.insert(masks.end(), c.mask.begin(), c.mask.end());
    }
    std::map<int32_t, int32_t> counts;
    for (size_t i = 0; i < c.tokens.size(); ++i) {
      counts[c.tokens[i]] += static_cast<int64_t>(i) >= c.generated_from ? 1 : 0;
    }
    draw.seen_begin = size_of(seen);
    for (const auto& [token, count] : counts) seen.push_back({token, count});
    draw.seen_count = size_of(seen) - draw.seen_begin;
    draw.bias_begin = size_of(biases);
    for (const auto& [token, bias] : c.params.logit_bias) biases.push_back({token, bias});
    std::stable_sort(biases.begin() + draw.bias_begin, biases.end(),
                     [](const auto& a, const auto& b) { return a.token < b.token; });
    draw.bias_count = size_of(biases) - draw.bias_begin;
    draw.banned_begin = size_of(banned);
    banned.insert(banned.end(), c.banned.begin(), c.banned.end());
    draw.banned_count = size_of(banned) - draw.banned_begin;
    draws.push_back(draw);
  }
};

}  // namespace fathom::cpu::test
