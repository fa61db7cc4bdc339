#include "ledger/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <latch>
#include <thread>

#include "ledger/sql/connector.h"
#include "ledger/store/schema.h"
#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

using testing::HasSubstr;

class Stores : public Shop {
 protected:
  std::unique_ptr<Connection> connect() {
    auto connection = (*connector(where_))();
    EXPECT_TRUE(connection) << connection.error().message;
    return std::move(*connection);
  }
  static int64_t version(Connection& connection) {
    const auto found = connection.run("SELECT MAX(version) FROM schema_versions");
    return found ? number(found->rows.at(0)[0]) : -1;
  }
  static Status set(Transaction& transaction, const std::string& name, const std::string& value) {
    const auto done =
        transaction.sql.run("INSERT INTO settings (name, value) VALUES ($1, $2)", {name, value});
    if (!done) return done.error();
    return {};
  }
  int64_t settings() {
    const auto found = read<Outcome>(
        [](auto& t) { return t.sql.run("SELECT COUNT(*) FROM settings WHERE name LIKE 'test%'"); });
    return number(found->rows.at(0)[0]);
  }
};

TEST_P(Stores, AnOperationThatFailsLeavesNothing) {
  // While the writer is held up by the first, the others become one group.
  std::latch begun(1);
  std::latch go(1);
  std::latch done(4);
  store_->write<void>(
      "", Patience::kWait,
      [&](Transaction& t) {
        begun.count_down();
        go.wait();
        return set(t, "test a", "1");
      },
      [&](Status status) {
        EXPECT_TRUE(status);
        done.count_down();
      });
  begun.wait();
  const auto add = [&](const std::string& name, bool fails) {
    store_->write<void>(
        "", Patience::kWait,
        [=](Transaction& t) -> Status {
          FATHOM_TRY(set(t, name, "1"));
          if (fails) return invalid_argument("refused");
          return {};
        },
        [&, fails](Status status) {
          EXPECT_EQ(status.ok(), !fails);
          done.count_down();
        });
  };
  add("test b", false);
  add("test c", true);
  add("test d", false);
  go.count_down();
  done.wait();
  EXPECT_EQ(settings(), 3);
  // A constraint refuses one: the other stays.
  EXPECT_FALSE(write<void>([](auto& t) { return set(t, "test a", "2"); }));
  EXPECT_TRUE(write<void>([](auto& t) { return set(t, "test e", "2"); }));
  EXPECT_EQ(settings(), 4);
  EXPECT_FALSE(read<Outcome>([](auto& t) { return t.sql.run("SELECT nothing FROM nowhere"); }));
  EXPECT_EQ(settings(), 4) << "readers go on after an error";
}

TEST_P(Stores, MigrateOnceWhenSeveralStart) {
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      if (Store::open(where_)) ++opened;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 3);
}

TEST_P(Stores, OfTheNextVersionWorkUntilItContracts) {
  auto connection = connect();
  const int known = migrations().back().version;
  std::vector<Migration> next = migrations();
  next.push_back({known + 1, known, "ALTER TABLE settings ADD COLUMN note TEXT"});
  ASSERT_TRUE(migrate(*connection, next));
  EXPECT_EQ(version(*connection), known + 1);
  open_store();
  EXPECT_TRUE(write<void>([](auto& t) { return set(t, "test a", "1"); }));
  next.push_back({known + 2, known + 1, "ALTER TABLE settings DROP COLUMN note"});
  ASSERT_TRUE(migrate(*connection, next));
  const auto refused = Store::open(where_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("start a Fathom that is as new"));
}

TEST_P(Stores, AMigrationThatFailsChangesNothing) {
  auto connection = connect();
  const int64_t before = version(*connection);
  std::vector<Migration> broken = migrations();
  broken.push_back({100, 1, "CREATE TABLE half (id BIGINT); CREATE TABLE half (id BIGINT)"});
  EXPECT_FALSE(migrate(*connection, broken));
  EXPECT_EQ(version(*connection), before);
  EXPECT_FALSE(connection->run("SELECT * FROM half"));
}

TEST_P(Stores, RefuseWhatTheBooksForbid) {
  auto connection = connect();
  EXPECT_FALSE(connection->control("UPDATE balances SET available = available + 1"));
  EXPECT_FALSE(connection->control("UPDATE balances SET available = -1, cash = 1"));
  EXPECT_FALSE(connection->control(
      "INSERT INTO entries (at, org, kind, source, available, reserved, revenue, cash, "
      "adjustments, "
      "written_off, author, reason) VALUES (0, 'o', 'k', 's', 1, 0, 0, 0, 0, 0, '', '')"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Stores, testing::Values("sqlite", "postgres"), store_name);

TEST(SqliteStore, IsForItsOwnerAlone) {
  const ShopFolder folder;
  const std::string path = (folder.path() / "a.db").string();
  ASSERT_TRUE(Store::open(path));
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(SqliteStore, IsMadeOnceWhenSeveralStart) {
  const ShopFolder folder;
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto store = Store::open((folder.path() / "new.db").string());
      EXPECT_TRUE(store) << store.error().message;
      if (store) ++opened;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 4);
}

TEST(StoreOpen, SaysWhatIsWrong) {
  EXPECT_THAT(Store::open("").error().message, HasSubstr("expected a file or postgresql://"));
  EXPECT_THAT(Store::open("/nowhere/a.db").error().message, HasSubstr("/nowhere/a.db"));
  EXPECT_THAT(Store::open("/etc/passwd").error().message, HasSubstr("/etc/passwd"));
  EXPECT_THAT(Store::open("postgresql:///x?host=/nowhere").error().message, HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace fathom::ledger
