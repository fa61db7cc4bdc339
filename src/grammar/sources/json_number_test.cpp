#include "grammar/sources/json_number.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

NumberRange between(const char* low, const char* high, bool exclusive_low = false,
                    bool exclusive_high = false) {
  NumberRange range;
  if (low != nullptr) range.low = *parse_decimal(low);
  if (high != nullptr) range.high = *parse_decimal(high);
  if (low != nullptr) range.low->exclusive = exclusive_low;
  if (high != nullptr) range.high->exclusive = exclusive_high;
  return range;
}

std::shared_ptr<const CompiledGrammar> numbers(const NumberRange& range) {
  Grammar grammar;
  set_root(grammar, number_range(grammar, range));
  return compiled(grammar);
}

TEST(JsonNumber, ReadsDecimals) {
  const auto text = [](std::string_view number) {
    const Decimal decimal = *parse_decimal(number);
    const std::string sign = decimal.negative ? "-" : "";
    return sign + decimal.whole + "." + decimal.fraction;
  };
  EXPECT_EQ(text("0"), "0.");
  EXPECT_EQ(text("-12.50"), "-12.5");
  EXPECT_EQ(text("1e3"), "1000.");
  EXPECT_EQ(text("1.25e1"), "12.5");
  EXPECT_EQ(text("1.5e-3"), "0.0015");
  EXPECT_EQ(text("0.07"), "0.07");
  EXPECT_FALSE(parse_decimal("1e308").ok());
  EXPECT_FALSE(parse_decimal("1e-99999999999999").ok());
}

TEST(JsonNumber, IntegersBetweenBoundsAreExactlyThose) {
  const std::pair<int, int> ranges[] = {{0, 0},     {0, 9},    {5, 17},   {-3, 3},
                                        {-120, -7}, {99, 101}, {10, 100}, {-1, 1000},
                                        {345, 678}, {1, 1},    {-9, 0},   {7, 1234}};
  for (const auto& [low, high] : ranges) {
    NumberRange range = between(std::to_string(low).c_str(), std::to_string(high).c_str());
    range.integer = true;
    const auto grammar = numbers(range);
    for (int i = -1300; i <= 1300; ++i) {
      ASSERT_EQ(matches(grammar, std::to_string(i)), low <= i && i <= high) << i;
    }
    EXPECT_FALSE(matches(grammar, "-0"));
    EXPECT_FALSE(matches(grammar, "00"));
    EXPECT_FALSE(matches(grammar, std::to_string(low) + ".0"));
  }
}

TEST(JsonNumber, DecimalsBetweenBoundsAreExactlyThose) {
  std::mt19937 random(23);
  const auto decimal = [&](int scale) {
    const int number = static_cast<int>(random() % 4000) - 2000;
    std::string text = std::to_string(std::abs(number));
    while (text.size() <= static_cast<size_t>(scale)) text = std::string("0").append(text);
    const size_t point = text.size() - static_cast<size_t>(scale);
    if (scale > 0) text = text.substr(0, point) + "." + text.substr(point);
    const std::string sign = number < 0 ? "-" : "";
    return std::pair(sign + text, number / std::pow(10.0, scale));
  };
  for (int round = 0; round < 60; ++round) {
    auto low = decimal(static_cast<int>(random() % 4));
    auto high = decimal(static_cast<int>(random() % 4));
    if (low.second >= high.second) continue;
    const bool open_low = random() % 2 == 0;
    const bool open_high = random() % 2 == 0;
    const auto grammar =
        numbers(between(low.first.c_str(), high.first.c_str(), open_low, open_high));
    const auto check = [&](const std::string& text, double value) {
      if (text.starts_with("-") && value == 0) return;  // "-0" is never written
      const bool above = open_low ? value > low.second : value >= low.second;
      const bool below = open_high ? value < high.second : value <= high.second;
      ASSERT_EQ(matches(grammar, text), above && below)
          << text << " in " << low.first << " to " << high.first << open_low << open_high;
    };
    check(low.first, low.second);
    check(high.first, high.second);
    for (int i = 0; i < 300; ++i) {
      const auto [text, value] = decimal(static_cast<int>(random() % 4));
      check(text, value);
    }
  }
}

TEST(JsonNumber, OneBoundAndMultiples) {
  const auto above = numbers(between("0", nullptr, true));
  EXPECT_FALSE(matches(above, "0"));
  EXPECT_FALSE(matches(above, "0.0"));
  EXPECT_TRUE(matches(above, "0.001"));
  EXPECT_TRUE(matches(above, "123456.5"));
  EXPECT_FALSE(matches(above, "-1"));
  NumberRange range = between("-20", "50");
  range.divisor = 5;
  const auto fives = numbers(range);
  for (int i = -60; i <= 60; ++i) {
    EXPECT_EQ(matches(fives, std::to_string(i)), i % 5 == 0 && i >= -20 && i <= 50) << i;
  }
}

}  // namespace
}  // namespace fathom::grammar
