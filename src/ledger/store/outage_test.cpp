// A store whose server or disk fails while it works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <latch>
#include <thread>

#include "ledger/testing/postgres_server.h"
#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

class PostgresOutage : public Shop {};
class SqliteOutage : public Shop {};

TEST_P(PostgresOutage, RestartedUnderLoadNothingIsLostOrDoneTwice) {
  constexpr int kRequests = 300;
  ASSERT_TRUE(credit(1'000'000));
  std::latch settled(kRequests);
  std::atomic<int> lost{0};
  std::atomic<int> begun{0};
  std::latch half(kRequests / 3);
  // As a gateway does it: new work is refused while the store is down, and tried again here; what
  // has happened waits.
  const std::function<void(int)> start = [&](int i) {
    const Reservation wanted = reservation("r" + std::to_string(i), 10, 10);
    store_->write<Reserved>(
        org_, Patience::kRefuse, [wanted](Transaction& t) { return reserve(t, wanted); },
        [&, i, id = wanted.id](Result<Reserved> reserved) {
          if (!reserved) return start(i);
          if (begun.fetch_add(1) < kRequests / 3) half.count_down();
          store_->write<Settled>(
              org_, Patience::kWait,
              [id](Transaction& t) { return settle(t, id, {.prompt = 10, .completion = 1}); },
              [&](Result<Settled> done) {
                if (!done) ++lost;
                settled.count_down();
              });
        });
  };
  std::thread load([&] {
    for (int i = 0; i < kRequests; ++i) start(i);
  });
  half.wait();
  PostgresServer::instance().crash();
  PostgresServer::instance().start();
  load.join();
  settled.wait();
  EXPECT_EQ(lost, 0);
  EXPECT_TRUE(store_->connected());
  // A reader's connection is gone once; then it has another.
  EXPECT_EQ(accounts(), (Accounts{.available = 1'000'000 - 12 * kRequests,
                                  .revenue = 12 * kRequests,
                                  .cash = -1'000'000}));
  EXPECT_THAT(wrong(), testing::IsEmpty());
}

TEST_P(SqliteOutage, AFullDiskRefusesNewWorkAndKeepsWhatHasHappened) {
  ASSERT_TRUE(credit(1'000'000));
  ASSERT_TRUE(reserve_now("a"));
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit tight{std::filesystem::file_size(where_ + "-wal"), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  std::latch settled(1);
  Result<Settled> outcome = invalid_argument("nothing yet");
  store_->write<Settled>(
      org_, Patience::kWait, [](Transaction& t) { return settle(t, "a", {.prompt = 10}); },
      [&](Result<Settled> done) {
        outcome = std::move(done);
        settled.count_down();
      });
  const auto refused = reserve_now("b");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  settled.wait();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->charged, 10);
  EXPECT_TRUE(reserve_now("c"));
  EXPECT_THAT(wrong(), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresOutage, testing::Values("postgres"), store_name);
INSTANTIATE_TEST_SUITE_P(Sqlite, SqliteOutage, testing::Values("sqlite"), store_name);

}  // namespace
}  // namespace fathom::ledger
