// Amounts of money, and what tokens cost.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace fathom::ledger {

// Millionths of the store's one currency. An amount never rounds: only a charge does, once.
using Micros = int64_t;

// The tokens of a request, each in exactly one count. What clients see as prompt_tokens is
// cached + prompt.
struct Tokens {
  int64_t cached = 0;      // of the prompt, found in the prefix cache
  int64_t prompt = 0;      // of the prompt, computed
  int64_t completion = 0;  // generated, over all choices

  friend bool operator==(const Tokens&, const Tokens&) = default;
};

// Micros for a million tokens.
struct Rates {
  Micros cached = 0;
  Micros prompt = 0;
  Micros completion = 0;

  friend bool operator==(const Rates&, const Rates&) = default;
};

// The highest rate and count that are accepted: three products of them fit into 128 bits, and a
// charge that does not fit into Micros is refused.
inline constexpr int64_t kMaxRate = int64_t{1} << 53;
inline constexpr int64_t kMaxTokens = int64_t{1} << 53;

// ceil(sum of tokens * rate / 10^6), exactly. kInvalidArgument for a negative number, one above its
// maximum, or a sum above what Micros hold.
Result<Micros> charge(const Tokens& tokens, const Rates& rates);

// a + b; kInvalidArgument where the sum does not fit.
Result<Micros> add(Micros a, Micros b);

}  // namespace fathom::ledger
