// Numbers within bounds, written in decimal without exponent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "grammar/rules/grammar.h"

namespace fathom::grammar {

// A bound in decimal: digits before and behind the point, without zeros that say nothing ("0" for
// no whole part, "" for no fraction).
struct Decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;
  bool exclusive = false;

  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

// Reads what JSON writes as a number, with or without exponent. Error if it has more than 40 digits
// on either side of the point.
Result<Decimal> parse_decimal(std::string_view text);

// Whether a number may be at least `low` and at most `high` (or between, where they are exclusive).
bool in_order(const Decimal& low, const Decimal& high);

struct NumberRange {
  std::optional<Decimal> low;
  std::optional<Decimal> high;
  bool integer = false;
  uint32_t divisor = 1;  // of the numbers, which are integers if it is not 1
};

// Digits that are generated: integers of at most 18, so that they fit in 64 bits; numbers of at
// most 15 in all beside a bound, so that different texts are different doubles and compare as their
// texts do.
inline constexpr size_t kIntegerDigits = 18;
inline constexpr size_t kNumberDigits = 15;

// The texts of the range's numbers, free of calls. No "-0".
Expr number_range(Grammar& grammar, const NumberRange& range);

}  // namespace fathom::grammar
