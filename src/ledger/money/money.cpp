#include "ledger/money/money.h"

#include <fmt/format.h>

#include <limits>

namespace fathom::ledger {

namespace {

__extension__ using Wide = unsigned __int128;

bool within(int64_t value, int64_t most) {
  return value >= 0 && value <= most;
}

}  // namespace

Result<Micros> charge(const Tokens& tokens, const Rates& rates) {
  for (const int64_t count : {tokens.cached, tokens.prompt, tokens.completion}) {
    if (!within(count, kMaxTokens)) {
      return invalid_argument(
          fmt::format("charge: expected 0 to {} tokens, got {}", kMaxTokens, count));
    }
  }
  for (const Micros rate : {rates.cached, rates.prompt, rates.completion}) {
    if (!within(rate, kMaxRate)) {
      return invalid_argument(fmt::format(
          "charge: expected a rate of 0 to {} micros a million tokens, got {}", kMaxRate, rate));
    }
  }
  const auto product = [](int64_t count, Micros rate) {
    return static_cast<Wide>(count) * static_cast<Wide>(rate);
  };
  constexpr Wide kMillion = 1'000'000;
  const Wide sum = product(tokens.cached, rates.cached) + product(tokens.prompt, rates.prompt) +
                   product(tokens.completion, rates.completion);
  const Wide micros = (sum + kMillion - 1) / kMillion;
  if (micros > static_cast<Wide>(std::numeric_limits<Micros>::max())) {
    return invalid_argument("charge: expected less than 2^63 micros, got more");
  }
  return static_cast<Micros>(micros);
}

Result<Micros> add(Micros a, Micros b) {
  Micros sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return invalid_argument(
        fmt::format("amount: expected a sum within 63 bits, got {} and {}", a, b));
  }
  return sum;
}

}  // namespace fathom::ledger
