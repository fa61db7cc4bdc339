#include "ledger/books/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/books/price_list.h"
#include "ledger/tenants/tenants.h"
#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Requests : public Shop {};

TEST_P(Requests, AreReservedAndSettled) {
  ASSERT_TRUE(credit(1000));
  const auto reserved = reserve_now("a", 100, 200);
  ASSERT_TRUE(reserved) << reserved.error().message;
  ASSERT_FALSE(reserved->refusal) << reserved->refusal->message;
  EXPECT_EQ(reserved->micros, 500);
  EXPECT_EQ(reserved->available, 500);
  EXPECT_EQ(reserved->band, "base");
  EXPECT_EQ(accounts().reserved, 500);
  const auto settled = settle_now("a", {.cached = 64, .prompt = 36, .completion = 50});
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->charged, 143);  // 6.4 + 36 + 100, rounded up
  EXPECT_EQ(accounts(), (Accounts{.available = 857, .reserved = 0, .revenue = 143, .cash = -1000}));
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_P(Requests, RepeatedCallsChangeNothing) {
  ASSERT_TRUE(credit(1000));
  const auto first = reserve_now("a", 100, 200);
  const auto again = reserve_now("a", 100, 200);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->micros, first->micros);
  EXPECT_EQ(accounts().reserved, 500);
  EXPECT_EQ(reserve_now("a", 100, 201).error().code, ErrorCode::kCancelled);
  ASSERT_TRUE(settle_now("a", {.prompt = 100}));
  const auto repeated = settle_now("a", {.prompt = 100});
  ASSERT_TRUE(repeated);
  EXPECT_TRUE(repeated->repeated);
  EXPECT_EQ(repeated->charged, 100);
  EXPECT_EQ(settle_now("a", {.prompt = 99}).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(release_now("a").error().code, ErrorCode::kCancelled);
  EXPECT_EQ(reserve_now("a", 100, 200).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(accounts().revenue, 100);
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_P(Requests, PriceAndBandAreThoseOfTheReservation) {
  ASSERT_TRUE(credit(10'000));
  const auto before = reserve_now("a", 100, 0);
  now_ += kMinute;
  const auto later = write<Price>([this](auto& t) {
    return set_price(t, kActor, "v3", {.base = {0, 5'000'000, 0}}, now_ + kMinute);
  });
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_EQ(later->version, 2);
  EXPECT_EQ(reserve_now("b", 100, 0)->price_version, 1) << "the second is not yet valid";
  now_ += kMinute;
  EXPECT_EQ(reserve_now("c", 100, 0)->price_version, 2);
  EXPECT_EQ(settle_now("a", {.prompt = 100})->charged, 100);
  EXPECT_EQ(settle_now("c", {.prompt = 100})->charged, 500);
  const auto over =
      write<Price>([this](auto& t) { return set_price(t, kActor, "v3", {}, now_ - kMinute); });
  EXPECT_EQ(over.error().where, "valid_from");
}

TEST_P(Requests, AreRefusedWithoutPriceMoneyOrKey) {
  const auto why = [this](const Reservation& wanted) {
    const auto reserved = reserve_now(wanted);
    EXPECT_TRUE(reserved) << reserved.error().message;
    return reserved->refusal.value().kind;
  };
  Reservation wanted = reservation("a", 1, 1);
  EXPECT_EQ(why(wanted), Refusal::Kind::kBalance);
  wanted.model = "r1";
  EXPECT_EQ(why(wanted), Refusal::Kind::kPrice);
  wanted.key = "key_of_nobody";
  EXPECT_EQ(why(wanted), Refusal::Kind::kKey);
  ASSERT_TRUE(credit(100));
  ASSERT_TRUE(write<void>([this](auto& t) { return revoke_key(t, kActor, key_.id); }));
  EXPECT_EQ(why(reservation("a", 1, 1)), Refusal::Kind::kKey);
}

TEST_P(Requests, NeedALeaseAndARightClock) {
  ASSERT_TRUE(credit(100));
  ahead_ = 3 * kSecond;
  EXPECT_THAT(reserve_now("a").error().message, HasSubstr("clock"));
  ahead_ = -3 * kSecond;
  EXPECT_FALSE(reserve_now("a"));
  ahead_ = kSecond;
  EXPECT_TRUE(reserve_now("a"));
  now_ += 2 * kHour;
  EXPECT_THAT(reserve_now("b").error().message, HasSubstr("lease"));
}

TEST_P(Requests, OfADeadGatewayLapseAndAreChargedWhenTheyComeLate) {
  ASSERT_TRUE(credit(500));
  ASSERT_TRUE(reserve_now("a", 100, 100));
  ASSERT_TRUE(reserve_now("b", 50, 50));
  const auto all = [](auto& t) { return lapsed(t, 10); };
  EXPECT_TRUE(read<std::vector<LapsedRequest>>(all)->empty());
  const auto lapse_a = [](auto& t) { return lapse(t, "a"); };
  EXPECT_FALSE(*write<bool>(lapse_a));
  now_ += kHour;
  const auto found = read<std::vector<LapsedRequest>>(all);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].organisation, org_);
  EXPECT_TRUE(*write<bool>(lapse_a));
  EXPECT_FALSE(*write<bool>(lapse_a)) << "once";
  EXPECT_EQ(accounts().reserved, 150);
  // Less is left than it cost: 350 are available, and 420 were used.
  const auto late = settle_now("a", {.prompt = 20, .completion = 200});
  ASSERT_TRUE(late) << late.error().message;
  EXPECT_EQ(late->charged, 350);
  EXPECT_EQ(late->written_off, 70);
  EXPECT_EQ(
      accounts(),
      (Accounts{
          .available = 0, .reserved = 150, .revenue = 420, .cash = -500, .written_off = -70}));
  EXPECT_TRUE(settle_now("a", {.prompt = 20, .completion = 200})->repeated);
  EXPECT_THAT(wrong(), IsEmpty());
  const auto entries =
      read<std::vector<Entry>>([this](auto& t) { return entries_of(t, org_, 0, 100); });
  std::vector<std::string> kinds;
  for (const Entry& entry : *entries) kinds.push_back(entry.kind);
  EXPECT_THAT(kinds,
              testing::ElementsAre("credit", "reserve", "reserve", "lapse", "late", "write_off"));
}

TEST_P(Requests, ReleasedAreNeverCharged) {
  ASSERT_TRUE(credit(500));
  ASSERT_TRUE(reserve_now("a"));
  ASSERT_TRUE(reserve_now("b"));
  ASSERT_TRUE(release_now("a"));
  EXPECT_TRUE(release_now("a"));
  EXPECT_EQ(settle_now("a", {.prompt = 1}).error().code, ErrorCode::kCancelled);
  now_ += kHour;
  EXPECT_TRUE(*write<bool>([](auto& t) { return lapse(t, "b"); }));
  EXPECT_TRUE(release_now("b")) << "its gateway came back and says that it failed";
  EXPECT_FALSE(settle_now("b", {.prompt = 1}));
  EXPECT_EQ(settle_now("c", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(accounts(), (Accounts{.available = 500, .cash = -500}));
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_P(Requests, WhatExceedsAReservationIsTakenFromTheRestAndThenWrittenOff) {
  ASSERT_TRUE(credit(25));
  ASSERT_TRUE(reserve_now("a", 10, 0));
  const auto settled = settle_now("a", {.prompt = 40});
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->charged, 25);
  EXPECT_EQ(settled->written_off, 15);
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_P(Requests, LimitsSayWhichWhoseAndWhen) {
  ASSERT_TRUE(credit(100'000));
  ASSERT_TRUE(limit({.owner = key_.id, .kind = LimitKind::kRequests, .most = 2}));
  ASSERT_TRUE(limit({.owner = org_, .model = "v3", .kind = LimitKind::kTokens, .most = 100}));
  EXPECT_FALSE(reserve_now("a", 10, 10)->refusal);
  const auto tokens = reserve_now("b", 50, 31);
  ASSERT_TRUE(tokens->refusal);
  EXPECT_EQ(tokens->refusal->kind, Refusal::Kind::kLimit);
  EXPECT_EQ(tokens->refusal->limit->level, "organisation");
  EXPECT_EQ(tokens->refusal->limit->limit.model, "v3");
  EXPECT_EQ(tokens->refusal->limit->used, 20);
  EXPECT_EQ(tokens->refusal->limit->resets, kShopOpens - kShopOpens % kMinute + kMinute);
  EXPECT_THAT(tokens->refusal->message, HasSubstr("100 tokens for v3 of organisation org_"));
  EXPECT_FALSE(reserve_now("b", 50, 30)->refusal);
  ASSERT_TRUE(settle_now("b", {.prompt = 10})) << "70 come back";
  const auto requests = reserve_now("c", 1, 1);
  ASSERT_TRUE(requests->refusal);
  EXPECT_EQ(requests->refusal->limit->level, "key");
  now_ += kMinute;
  const auto next = reserve_now("c", 50, 50);
  EXPECT_FALSE(next->refusal);
  EXPECT_EQ(next->limits.size(), 2u);
  ASSERT_TRUE(settle_now("a", {.prompt = 1})) << "of a minute that is over: nothing to correct";
  EXPECT_TRUE(reserve_now("d", 1, 0)->refusal);
}

TEST_P(Requests, ConcurrencyCountsOpenRequestsAlsoOfBefore) {
  ASSERT_TRUE(credit(100'000));
  ASSERT_TRUE(reserve_now("a"));
  ASSERT_TRUE(limit({.owner = project_, .kind = LimitKind::kConcurrency, .most = 2}));
  EXPECT_FALSE(reserve_now("b")->refusal);
  EXPECT_TRUE(reserve_now("c")->refusal);
  ASSERT_TRUE(release_now("a"));
  EXPECT_FALSE(reserve_now("c")->refusal);
  EXPECT_TRUE(reserve_now("d")->refusal);
  ASSERT_TRUE(settle_now("b", {}));
  EXPECT_FALSE(reserve_now("d")->refusal);
  ASSERT_TRUE(limit({.owner = project_, .kind = LimitKind::kConcurrency, .most = -1}));
  EXPECT_FALSE(reserve_now("e")->refusal);
}

INSTANTIATE_TEST_SUITE_P(Stores, Requests, testing::Values("sqlite", "postgres"), store_name);

}  // namespace
}  // namespace fathom::ledger
