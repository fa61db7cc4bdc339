// A gateway that is killed while it reserves and settles, again and again, on one store and
// journal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <future>
#include <set>

#include "ledger/journal/journal.h"
#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

class Crash : public Shop {
 protected:
  // The life of a gateway. Whatever it writes to `pipe` its client has seen: the end of an answer
  // whose settlement is in the journal.
  [[noreturn]] void serve(int life, int pipe) {
    auto store = Store::open(where_);
    auto journal = Journal::open(folder_.path() / "journal");
    if (!store || !journal) _exit(3);
    replay(**store, **journal);
    for (int i = 0;; ++i) {
      const std::string id = "r" + std::to_string(life) + "-" + std::to_string(i);
      Reservation wanted = reservation(id, 10, 10);
      const auto reserved = (*store)->write_and_wait<Reserved>(
          org_, [&](Transaction& t) { return reserve(t, wanted); });
      if (!reserved || reserved->refusal) _exit(4);
      const Tokens used{.prompt = 10, .completion = i % 10};
      std::promise<Result<Journal::Ticket>> promise;
      auto durable = promise.get_future();
      (*journal)->append({id, used}, [&](auto result) { promise.set_value(std::move(result)); });
      const auto ticket = durable.get();
      if (!ticket) _exit(5);
      const std::string seen = id + "\n";
      if (write_bytes(pipe, seen) != static_cast<ssize_t>(seen.size())) _exit(6);
      (*store)->write<Settled>(
          org_, Patience::kWait, [id, used](Transaction& t) { return settle(t, id, used); },
          [&journal, number = *ticket](Result<Settled> done) {
            if (done) (*journal)->recorded(number);
          });
    }
  }

  static ssize_t write_bytes(int file, const std::string& bytes) {
    return ::write(file, bytes.data(), bytes.size());
  }

  void replay(Store& store, Journal& journal) {
    for (const Journal::Left& left : journal.take_left()) {
      const auto done = store.write_and_wait<Settled>(org_, [&](Transaction& t) {
        return settle(t, left.settlement.request, left.settlement.used);
      });
      if (done) journal.recorded(left.ticket);
      EXPECT_TRUE(done) << done.error().message;
    }
  }
};

TEST_P(Crash, TwentyKillsLoseNothingThatAClientSaw) {
  constexpr int kLives = 20;
  ASSERT_TRUE(credit(1'000'000'000));
  now_ = 0;  // from here on the store has a clock of its own
  const Time a_century = 100 * 365 * kDay;
  ASSERT_TRUE(renew(kShopOpens + a_century));
  store_.reset();
  std::set<std::string> seen;
  for (int life = 0; life < kLives; ++life) {
    std::array<int, 2> ends;
    ASSERT_EQ(pipe(ends.data()), 0);
    const pid_t gateway = fork();
    if (gateway == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(ends[0]);
      serve(life, ends[1]);
    }
    close(ends[1]);
    FILE* lines = fdopen(ends[0], "r");
    std::array<char, 128> line;
    // It is killed in the middle of what follows the last of these.
    for (int count = 0; fgets(line.data(), line.size(), lines) != nullptr; ++count) {
      seen.insert(std::string(line.data()).substr(0, std::string(line.data()).find('\n')));
      if (count == 3 + life) kill(gateway, SIGKILL);
    }
    fclose(lines);
    int status = 0;
    waitpid(gateway, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "life " << life << " ended with " << WEXITSTATUS(status);
  }
  now_ = kShopOpens;
  open_store();
  auto journal = Journal::open(folder_.path() / "journal");
  ASSERT_TRUE(journal);
  replay(*store_, **journal);
  // What had only been reserved lapses with the lease.
  now_ = kShopOpens + 2 * a_century;
  const auto open = read<std::vector<LapsedRequest>>([](auto& t) { return lapsed(t, 1000); });
  EXPECT_LE(open->size(), static_cast<size_t>(kLives));
  for (const LapsedRequest& request : *open) {
    EXPECT_EQ(seen.count(request.id), 0u) << "seen, and never charged";
    ASSERT_TRUE(*write<bool>([&](auto& t) { return lapse(t, request.id); }));
  }
  const auto entries =
      read<std::vector<Entry>>([this](auto& t) { return entries_of(t, org_, 0, 1'000'000); });
  std::multiset<std::string> settled;
  for (const Entry& entry : *entries) {
    if (entry.kind == "settle") settled.insert(entry.source);
  }
  EXPECT_GE(seen.size(), static_cast<size_t>(4 * kLives));
  for (const std::string& id : seen) EXPECT_EQ(settled.count(id), 1u) << id;
  // A settlement may be in the journal though its client did not see the end: one a life.
  EXPECT_LE(settled.size(), seen.size() + kLives);
  EXPECT_EQ(accounts().reserved, 0);
  EXPECT_THAT(wrong(), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Sqlite, Crash, testing::Values("sqlite"), store_name);

}  // namespace
}  // namespace fathom::ledger
