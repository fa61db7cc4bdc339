// What users of other gateways complain of, one test each. Complaint 6 is also in money_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include "ledger/tenants/tenants.h"
#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

using testing::IsEmpty;

class Complaints : public Shop {};

// 1. Check-then-deduct overdraws a balance.
TEST_P(Complaints, One_EightThreadsRaceOnOneBalance) {
  constexpr int kThreads = 8;
  constexpr int kEach = 25;
  constexpr Micros kCost = 30;
  // Enough for 66 of 200, and 20 micros that are enough for none.
  ASSERT_TRUE(credit(2000));
  StoreOptions options;
  options.worker.store_clock = [this] { return now_.load(); };
  options.worker.own_clock = options.worker.store_clock;
  auto second = Store::open(where_, options);
  ASSERT_TRUE(second) << second.error().message;
  std::latch begun(kThreads);
  std::atomic<int> taken{0};
  std::atomic<int> refused{0};
  std::atomic<int> broken{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Store& store = thread % 2 == 0 ? *store_ : **second;
      begun.arrive_and_wait();
      for (int i = 0; i < kEach; ++i) {
        const Reservation wanted =
            reservation(std::to_string(thread) + "-" + std::to_string(i), 10, 10);
        const auto done = store.write_and_wait<Reserved>(
            org_, [&](Transaction& t) { return reserve(t, wanted); });
        ++(!done ? broken : done->refusal ? refused : taken);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(broken, 0);
  EXPECT_EQ(taken, 2000 / kCost);
  EXPECT_EQ(refused, kThreads * kEach - 2000 / kCost);
  EXPECT_EQ(accounts().available, 2000 % kCost);
  EXPECT_THAT(wrong(), IsEmpty());
}

// The same where the second comes between the first one's look at the balance and its commit.
TEST_P(Complaints, One_TheSecondSeesTheBalanceThatTheFirstLeaves) {
  ASSERT_TRUE(credit(30));
  StoreOptions options;
  options.worker.store_clock = [this] { return now_.load(); };
  options.worker.own_clock = options.worker.store_clock;
  auto second = Store::open(where_, options);
  ASSERT_TRUE(second) << second.error().message;
  std::latch looked(1);
  Result<Reserved> first = invalid_argument("nothing yet");
  std::thread thread([&] {
    first = write<Reserved>([&](Transaction& t) -> Result<Reserved> {
      auto reserved = reserve(t, reservation("a", 10, 10));
      looked.count_down();
      // In SQLite the second has not begun; in PostgreSQL it waits for a row that this one holds.
      for (int64_t waiting = t.sql.locking().empty() ? 1 : 0; waiting == 0;) {
        FATHOM_ASSIGN(const Outcome found,
                      t.sql.run("SELECT COUNT(*) FROM pg_locks WHERE NOT granted"));
        waiting = number(found.rows.at(0)[0]);
      }
      return reserved;
    });
  });
  looked.wait();
  const auto then = (*second)->write_and_wait<Reserved>(
      org_, [&](Transaction& t) { return reserve(t, reservation("b", 10, 10)); });
  thread.join();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(first->refusal);
  ASSERT_TRUE(then) << then.error().message;
  ASSERT_TRUE(then->refusal);
  EXPECT_EQ(then->refusal->kind, Refusal::Kind::kBalance);
}

// 2. Broken streams are billed.
TEST_P(Complaints, Two_AStreamThatBrokeCostsNothing) {
  ASSERT_TRUE(credit(100));
  ASSERT_TRUE(reserve_now("a"));
  ASSERT_TRUE(release_now("a"));
  EXPECT_EQ(accounts().available, 100);
  EXPECT_FALSE(settle_now("a", {.prompt = 10}));
  EXPECT_EQ(accounts().revenue, 0);
}

// 3. Delivered, but free.
TEST_P(Complaints, Three_WhatWasDeliveredIsChargedAlsoAfterALapse) {
  ASSERT_TRUE(credit(100));
  ASSERT_TRUE(reserve_now("a"));
  now_ += kHour;
  ASSERT_TRUE(*write<bool>([](auto& t) { return lapse(t, "a"); }));
  EXPECT_EQ(settle_now("a", {.prompt = 10, .completion = 3})->charged, 16);
  EXPECT_EQ(accounts().revenue, 16);
}

// 4. Reservations leak when a handler fails.
TEST_P(Complaints, Four_NothingIsReservedForLongerThanItsLease) {
  ASSERT_TRUE(credit(100));
  ASSERT_TRUE(reserve_now("a"));
  ASSERT_TRUE(reserve_now("b"));
  now_ += kHour;
  const auto found = read<std::vector<LapsedRequest>>([](auto& t) { return lapsed(t, 10); });
  ASSERT_EQ(found->size(), 2u);
  for (const LapsedRequest& request : *found) {
    ASSERT_TRUE(*write<bool>([&](auto& t) { return lapse(t, request.id); }));
  }
  EXPECT_EQ(accounts(), (Accounts{.available = 100, .cash = -100}));
}

// 5. Refunded twice: amount and status change in two transactions.
TEST_P(Complaints, Five_ARefundIsOneTransactionAndHappensOnce) {
  ASSERT_TRUE(credit(100));
  ASSERT_TRUE(reserve_now("a"));
  ASSERT_TRUE(settle_now("a", {.prompt = 10}));
  const Grant refund{.organisation = org_,
                     .kind = GrantKind::kRefund,
                     .micros = 10,
                     .reason = "it was wrong",
                     .idempotency_key = "k"};
  const auto give = [&](const Grant& wanted) {
    return write<Granted>([&](auto& t) { return grant(t, kActor, wanted); });
  };
  const auto first = give(refund);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(first->repeated);
  const auto again = give(refund);
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->id, first->id);
  Grant other = refund;
  other.micros = 9;
  EXPECT_EQ(give(other).error().code, ErrorCode::kCancelled) << "another body";
  other.idempotency_key = "k2";
  EXPECT_EQ(give(other).error().where, "micros") << "all that was charged is back";
  EXPECT_EQ(accounts().available, 100);
  EXPECT_THAT(wrong(), IsEmpty());
}

// 6. Cached tokens priced wrong or counted twice.
TEST_P(Complaints, Six_CachedTokensAreCountedOnceAtTheirRate) {
  ASSERT_TRUE(credit(1000));
  ASSERT_TRUE(reserve_now("a", 100, 0));
  EXPECT_EQ(settle_now("a", {.cached = 90, .prompt = 10})->charged, 19);
}

// 7. Spend lost on a dead-lock.
TEST_P(Complaints, Seven_DeadLocksAreDoneAgain) {
  ASSERT_TRUE(credit(1000));
  auto other = write<std::string>([](auto& t) { return create_organisation(t, kActor, "Other"); });
  ASSERT_TRUE(other);
  StoreOptions options;
  options.worker.store_clock = [this] { return now_.load(); };
  options.worker.own_clock = options.worker.store_clock;
  auto second = Store::open(where_, options);
  ASSERT_TRUE(second) << second.error().message;
  // Two that hold what the other wants, in orders that only a dead-lock can end.
  std::latch holding(2);
  std::atomic<int> attempts{0};
  const auto cross = [&](Store& store, std::string first, std::string then) {
    std::atomic<bool> met{false};
    return store.write_and_wait<void>("", [&, first, then](Transaction& t) -> Status {
      ++attempts;
      FATHOM_TRY(post(t, {.organisation = first,
                          .kind = "adjustment",
                          .source = first + then,
                          .change = {.available = 1, .adjustments = -1}}));
      // In SQLite the other has not begun while this one writes.
      if (!met.exchange(true) && !t.sql.locking().empty()) holding.arrive_and_wait();
      return post(t, {.organisation = then,
                      .kind = "adjustment",
                      .source = then + first + first,
                      .change = {.available = 1, .adjustments = -1}});
    });
  };
  Status done_there;
  std::thread thread([&] { done_there = cross(**second, *other, org_); });
  const Status done_here = cross(*store_, org_, *other);
  thread.join();
  EXPECT_TRUE(done_here) << done_here.error().message;
  EXPECT_TRUE(done_there) << done_there.error().message;
  EXPECT_GE(attempts, GetParam() == "postgres" ? 3 : 2) << "one of them was the victim";
  EXPECT_EQ(accounts().available, 1002);
  EXPECT_THAT(wrong(), IsEmpty());
}

// 8. Budgets ignored.
TEST_P(Complaints, Eight_ABudgetBindsOpenAndClosedRequests) {
  ASSERT_TRUE(credit(100'000));
  ASSERT_TRUE(reserve_now("before", 100, 0));
  ASSERT_TRUE(settle_now("before", {.prompt = 100}));
  ASSERT_TRUE(limit({.owner = key_.id, .kind = LimitKind::kBudget, .most = 150}));
  EXPECT_FALSE(reserve_now("a", 40, 0)->refusal);
  const auto refused = reserve_now("b", 11, 0);
  ASSERT_TRUE(refused->refusal);
  EXPECT_EQ(refused->refusal->limit->used, 140);
  EXPECT_EQ(refused->refusal->limit->resets, next_month(kShopOpens));
  ASSERT_TRUE(settle_now("a", {.prompt = 20}));
  EXPECT_FALSE(reserve_now("b", 30, 0)->refusal);
  now_ = next_month(now_);
  ASSERT_TRUE(renew());
  EXPECT_FALSE(reserve_now("c", 150, 0)->refusal);
}

// 9. Token limits bind only the next request.
TEST_P(Complaints, Nine_TokensAreCountedBeforeARequestRuns) {
  ASSERT_TRUE(credit(100'000));
  ASSERT_TRUE(limit({.owner = org_, .kind = LimitKind::kTokens, .most = 100}));
  EXPECT_TRUE(reserve_now("a", 50, 51)->refusal);
  EXPECT_FALSE(reserve_now("b", 50, 50)->refusal);
  EXPECT_TRUE(reserve_now("c", 1, 0)->refusal);
}

INSTANTIATE_TEST_SUITE_P(Stores, Complaints, testing::Values("sqlite", "postgres"), store_name);

}  // namespace
}  // namespace fathom::ledger
