#include "ledger/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <fstream>
#include <future>

#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

namespace fs = std::filesystem;

class JournalTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> open(JournalOptions options = {}) {
    auto opened = Journal::open(folder_.path() / "journal", std::move(options));
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  static Result<Journal::Ticket> append(Journal& journal, const Settlement& settlement) {
    std::promise<Result<Journal::Ticket>> promise;
    auto future = promise.get_future();
    journal.append(settlement, [&promise](auto result) { promise.set_value(std::move(result)); });
    return future.get();
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& file : fs::directory_iterator(folder_.path() / "journal")) {
      if (file.path().filename().string().starts_with("journal-")) found.push_back(file.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  ShopFolder folder_;
};

Settlement settlement(int i) {
  return {"request " + std::to_string(i), {i, 2 * i, 3 * i}};
}

TEST_F(JournalTest, ReplaysWhatTheStoreHasNot) {
  {
    auto journal = open();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(append(*journal, settlement(i)));
  }
  auto journal = open();
  auto left = journal->take_left();
  ASSERT_EQ(left.size(), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(left[static_cast<size_t>(i)].settlement, settlement(i));
  for (const auto& one : left) journal->recorded(one.ticket);
  journal.reset();
  EXPECT_TRUE(open()->take_left().empty());
}

TEST_F(JournalTest, FilesGoWhenTheStoreHasAllOfThem) {
  auto journal = open({.file_bytes = 100});
  std::vector<Journal::Ticket> tickets;
  for (int i = 0; i < 20; ++i) tickets.push_back(*append(*journal, settlement(i)));
  EXPECT_GT(files().size(), 5u);
  for (const auto ticket : tickets) journal->recorded(ticket);
  ASSERT_TRUE(append(*journal, settlement(21)));
  EXPECT_LE(files().size(), 2u);
}

TEST_F(JournalTest, ATornTailIsFoundAtEveryByte) {
  const std::string whole = encode(settlement(1)) + encode(settlement(2));
  const std::string torn = encode(settlement(3));
  for (size_t size = 0; size < torn.size(); ++size) {
    const JournalContents contents = decode(whole + torn.substr(0, size));
    EXPECT_EQ(contents.whole.size(), 2u) << size;
    EXPECT_EQ(contents.damaged_bytes, size);
  }
  for (size_t at = 0; at < torn.size(); ++at) {
    std::string bad = torn;
    bad[at] ^= 1;
    EXPECT_EQ(decode(bad).whole.size(), 0u) << at;
    const JournalContents contents = decode(bad + whole);
    EXPECT_EQ(contents.whole.size(), 2u) << "what follows damage is whole";
  }
}

TEST_F(JournalTest, DamageIsKeptAside) {
  {
    auto journal = open();
    ASSERT_TRUE(append(*journal, settlement(1)));
  }
  std::ofstream(files().at(0), std::ios::app | std::ios::binary) << "FLJ1torn";
  auto journal = open();
  EXPECT_EQ(journal->take_left().size(), 1u);
  EXPECT_EQ(files().size(), 3u) << "the file, what it was, and the new one";
}

TEST_F(JournalTest, AFailedSyncIsToldAndAnotherFileTakesWhatFollows) {
  std::atomic<bool> fails{false};
  auto journal = open({.sync = [&](int) {
    errno = EIO;
    return fails ? -1 : 0;
  }});
  ASSERT_TRUE(append(*journal, settlement(1)));
  fails = true;
  const auto failed = append(*journal, settlement(2));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kIo);
  fails = false;
  ASSERT_TRUE(append(*journal, settlement(3)));
  journal.reset();
  const auto left = open()->take_left();
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[1].settlement, settlement(3));
}

TEST_F(JournalTest, AFullDiskIsToldAndNothingOfItStays) {
  auto journal = open();
  ASSERT_TRUE(append(*journal, settlement(1)));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  const size_t room = encode(settlement(1)).size() + 10;
  const rlimit tight{room, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto full = append(*journal, settlement(2));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kResourceExhausted);
  ASSERT_TRUE(append(*journal, settlement(3)));
  journal.reset();
  const auto left = open()->take_left();
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[1].settlement, settlement(3));
}

TEST_F(JournalTest, AFolderIsForOneProcess) {
  const auto journal = open();
  const auto second = Journal::open(folder_.path() / "journal");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fathom::ledger
