#include "grammar/sources/json_number.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace fathom::grammar {
namespace {

constexpr size_t kMaxBoundDigits = 40;
constexpr int kMaxExponent = 1000;

Error too_long() {
  return {ErrorCode::kUnsupported,
          "expected a number of at most 40 digits before and behind the point, got more"};
}

// Numbers from 0 on, with up to `whole` digits before and `fraction` behind the point.
class Magnitudes {
 public:
  Magnitudes(Grammar& grammar, size_t whole, size_t fraction)
      : grammar_(grammar), whole_(whole), fraction_(fraction) {}

  Expr all() { return grammar_.sequence({wholes(1, whole_), any_fraction()}); }

  Expr at_least(const Decimal& bound) {
    const Expr longer = grammar_.sequence({wholes(bound.whole.size() + 1, whole_), any_fraction()});
    return grammar_.choice({longer, same_length(bound, 0, true)});
  }
  Expr at_most(const Decimal& bound) {
    const Expr shorter =
        grammar_.sequence({wholes(1, std::min(whole_, bound.whole.size() - 1)), any_fraction()});
    return grammar_.choice({shorter, same_length(bound, 0, false)});
  }

 private:
  Expr range(int first, int last) {
    if (first > last) return grammar_.nothing();
    return grammar_.chars(
        {{static_cast<char32_t>('0' + first), static_cast<char32_t>('0' + last)}});
  }
  Expr digits(size_t least, size_t most) {
    return grammar_.repeat(range(0, 9), static_cast<uint32_t>(least), static_cast<uint32_t>(most));
  }
  Expr any_fraction() {
    if (fraction_ == 0) return grammar_.empty();
    return grammar_.optional(grammar_.sequence({grammar_.literal("."), digits(1, fraction_)}));
  }
  // Whole numbers of `least` to `most` digits.
  Expr wholes(size_t least, size_t most) {
    if (least > most || most == 0) return grammar_.nothing();
    const Expr many = grammar_.sequence({range(1, 9), digits(least - 1, most - 1)});
    return least == 1 ? grammar_.choice({range(0, 0), many}) : many;
  }

  // Numbers whose whole part is as long as the bound's and like it before digit `at`.
  Expr same_length(const Decimal& bound, size_t at, bool greater) {
    const size_t length = bound.whole.size();
    if (length > whole_) return grammar_.nothing();
    if (at == length) return same_whole(bound, greater);
    const int digit = bound.whole[at] - '0';
    const int least = at == 0 && length > 1 ? 1 : 0;
    const size_t rest = length - at - 1;
    const Expr other = greater ? range(digit + 1, 9) : range(least, digit - 1);
    return grammar_.choice(
        {grammar_.sequence({other, digits(rest, rest), any_fraction()}),
         grammar_.sequence({range(digit, digit), same_length(bound, at + 1, greater)})});
  }

  Expr same_whole(const Decimal& bound, bool greater) {
    const Expr point = grammar_.literal(".");
    if (!bound.fraction.empty()) {
      const Expr behind = grammar_.sequence({point, same_fraction(bound, 0, greater)});
      return greater ? behind : grammar_.optional(behind);
    }
    if (greater) {
      return bound.exclusive ? grammar_.sequence({point, not_zero(fraction_)}) : any_fraction();
    }
    if (bound.exclusive) return grammar_.nothing();
    return grammar_.optional(grammar_.sequence({point, zeros(1, fraction_)}));
  }

  // The digits from `at` on of fractions that are like the bound's before it.
  Expr same_fraction(const Decimal& bound, size_t at, bool greater) {
    const bool bound_ends = at >= bound.fraction.size();
    const size_t left = fraction_ - at;
    if (bound_ends && bound.exclusive) return greater ? not_zero(left) : grammar_.nothing();
    if (bound_ends) return greater ? digits(0, left) : zeros(0, left);
    // Ending here is less than the bound, whose last digit is not zero.
    const Expr end = !greater && at > 0 ? grammar_.empty() : grammar_.nothing();
    if (left == 0) return end;
    const int digit = bound.fraction[at] - '0';
    const Expr other = greater ? range(digit + 1, 9) : range(0, digit - 1);
    return grammar_.choice(
        {end, grammar_.sequence({other, digits(0, left - 1)}),
         grammar_.sequence({range(digit, digit), same_fraction(bound, at + 1, greater)})});
  }

  Expr zeros(size_t least, size_t most) {
    return grammar_.repeat(range(0, 0), static_cast<uint32_t>(least), static_cast<uint32_t>(most));
  }
  // 1 to `most` digits that are not all zero.
  Expr not_zero(size_t most) {
    if (most == 0) return grammar_.nothing();
    return grammar_.choice({grammar_.sequence({range(0, 0), not_zero(most - 1)}),
                            grammar_.sequence({range(1, 9), digits(0, most - 1)})});
  }

  Grammar& grammar_;
  size_t whole_;
  size_t fraction_;
};

// -1, 0 or 1.
int compare(const Decimal& a, const Decimal& b) {
  const auto sign = [](const Decimal& x) { return x.is_zero() ? 0 : x.negative ? -1 : 1; };
  if (sign(a) != sign(b)) return sign(a) < sign(b) ? -1 : 1;
  int order = 0;
  if (a.whole.size() != b.whole.size()) {
    order = a.whole.size() < b.whole.size() ? -1 : 1;
  } else {
    const int by_text = (a.whole + "." + a.fraction).compare(b.whole + "." + b.fraction);
    order = by_text < 0 ? -1 : by_text > 0 ? 1 : 0;
  }
  return sign(a) < 0 ? -order : order;
}

}  // namespace

Result<Decimal> parse_decimal(std::string_view text) {
  Decimal result;
  result.negative = text.starts_with("-");
  if (result.negative) text.remove_prefix(1);
  const size_t mark = text.find_first_of("eE");
  int exponent = 0;
  if (mark != std::string_view::npos) {
    std::string_view power = text.substr(mark + 1);
    if (power.starts_with("+")) power.remove_prefix(1);
    const auto read = std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (read.ec != std::errc() || std::abs(exponent) > kMaxExponent) return too_long();
    text = text.substr(0, mark);
  }
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, point));
  int before = static_cast<int>(digits.size()) + exponent;  // digits before the point
  if (point < text.size()) digits += text.substr(point + 1);
  const size_t zeros = std::min(digits.find_first_not_of('0'), digits.size());
  digits.erase(0, zeros);
  before -= static_cast<int>(zeros);
  while (digits.ends_with('0')) digits.pop_back();
  if (digits.empty()) return result;
  const int behind = static_cast<int>(digits.size()) - before;
  if (before > static_cast<int>(kMaxBoundDigits) || behind > static_cast<int>(kMaxBoundDigits)) {
    return too_long();
  }
  if (before < 0) digits.insert(0, static_cast<size_t>(-before), '0');
  if (before > static_cast<int>(digits.size())) digits.resize(static_cast<size_t>(before), '0');
  const auto split = static_cast<size_t>(std::max(before, 0));
  if (split > 0) result.whole = digits.substr(0, split);
  result.fraction = digits.substr(split);
  return result;
}

bool in_order(const Decimal& low, const Decimal& high) {
  const int order = compare(low, high);
  return order < 0 || (order == 0 && !low.exclusive && !high.exclusive);
}

Expr number_range(Grammar& grammar, const NumberRange& range) {
  const bool integer = range.integer || range.divisor != 1;
  size_t longest = 0;
  if (range.low.has_value()) longest = range.low->whole.size();
  if (range.high.has_value()) longest = std::max(longest, range.high->whole.size());
  const size_t fraction = integer || longest > kNumberDigits ? 0 : kNumberDigits - longest;
  Magnitudes magnitudes(grammar, range.integer ? kIntegerDigits : kNumberDigits, fraction);
  const auto multiple = [&](Expr magnitude) {
    return range.divisor == 1 ? magnitude
                              : grammar.both(magnitude, grammar.multiple(range.divisor));
  };

  Expr positive = grammar.nothing();
  if (!range.high.has_value() || !range.high->negative) {
    positive = magnitudes.all();
    const bool raised = range.low.has_value() && !range.low->negative;
    if (raised) positive = grammar.both(positive, magnitudes.at_least(*range.low));
    if (range.high.has_value()) positive = grammar.both(positive, magnitudes.at_most(*range.high));
  }
  Expr negative = grammar.nothing();
  if (!range.low.has_value() || range.low->negative) {
    Decimal least;  // of the magnitude
    least.exclusive = true;
    if (range.high.has_value() && range.high->negative) least = *range.high;
    negative = magnitudes.at_least(least);
    if (range.low.has_value()) negative = grammar.both(negative, magnitudes.at_most(*range.low));
  }
  return grammar.choice(
      {multiple(positive), grammar.sequence({grammar.literal("-"), multiple(negative)})});
}

}  // namespace fathom::grammar
