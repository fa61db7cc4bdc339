#include "ledger/money/money.h"

#include <gtest/gtest.h>

#include <limits>

namespace fathom::ledger {
namespace {

// Cached tokens are charged once, at their own rate (complaint 6).
TEST(Money, RoundsUpOnceARequest) {
  const Rates rates{.cached = 70'000, .prompt = 270'000, .completion = 1'100'000};
  EXPECT_EQ(*charge({}, rates), 0);
  EXPECT_EQ(*charge({.cached = 1}, rates), 1);
  // 0.07 + 0.27 + 1.1 is 1.44; each rounded by itself would be 4.
  EXPECT_EQ(*charge({.cached = 1, .prompt = 1, .completion = 1}, rates), 2);
  EXPECT_EQ(*charge({.cached = 100, .prompt = 100, .completion = 100}, rates), 144);
}

TEST(Money, IsExactBeyond64Bits) {
  const int64_t tokens = (int64_t{1} << 43) + 1;
  EXPECT_EQ(*charge({.prompt = tokens}, {.prompt = 1'000'003}), 8'796'119'410'489);
  const auto too_much = charge({.prompt = kMaxTokens}, {.prompt = kMaxRate});
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error().code, ErrorCode::kInvalidArgument);
}

TEST(Money, RefusesWhatIsNoCount) {
  EXPECT_FALSE(charge({.prompt = -1}, {}));
  EXPECT_FALSE(charge({}, {.prompt = -1}));
  EXPECT_FALSE(charge({.completion = kMaxTokens + 1}, {}));
  EXPECT_FALSE(add(std::numeric_limits<Micros>::max(), 1));
}

}  // namespace
}  // namespace fathom::ledger
