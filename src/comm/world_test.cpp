// Worlds whose ranks are threads: no MPI, every thread checker at work. tests/e2e has the same with
// processes and real signals.
#include "comm/world.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "comm/testing/group_checks.h"
#include "comm/testing/memory_transport.h"

namespace fathom::comm {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

const Identity kIdentity = {"cpu", "0.1.0", "abc", "def"};

// Long where nothing is to be lost: sanitizers are slow. Ranks that are cut off are found by one
// that waits for that.
WorldOptions patient() {
  return {.start_deadline = milliseconds(60000),
          .lost_after = milliseconds(60000),
          .operation_deadline = milliseconds(60000),
          .on_lost = [](const Error&) {}};
}

// Runs `body` as each of `size` ranks; returns what they return.
std::vector<std::string> run_ranks(MemoryJob& job, int size, const WorldOptions& options,
                                   const std::function<std::string(World&)>& body,
                                   const std::function<Identity(int)>& identity = {}) {
  std::vector<std::string> results(static_cast<size_t>(size));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      const Launch launch = {
          .rank = rank, .size = size, .local_size = size, .job = {}, .rank_variable = {}};
      std::string& result = results[static_cast<size_t>(rank)];
      auto world = World::join_threads(job.transport(rank), launch,
                                       identity ? identity(rank) : kIdentity, options);
      result = world ? body(**world) : world.error().message;
    });
  }
  threads.clear();
  return results;
}

std::string leave(World& world) {
  const Status left = world.leave();
  return left ? "" : left.error().message;
}

class Worlds : public testing::TestWithParam<int> {};

TEST_P(Worlds, EveryOperationDoesWhatItSays) {
  const int size = GetParam();
  MemoryJob job(size);
  const auto results = run_ranks(job, size, patient(), [](World& world) {
    std::string wrong = check_operations(world.group(), 1, 20, 0);
    if (wrong.empty()) wrong = check_sums(world.group(), 2, 100);
    if (wrong.empty()) wrong = check_split(world.group(), 3, 101);
    return wrong.empty() ? leave(world) : wrong;
  });
  EXPECT_EQ(results, std::vector<std::string>(static_cast<size_t>(size)));
}

INSTANTIATE_TEST_SUITE_P(Sizes, Worlds, testing::Values(2, 3, 4, 7));

TEST(World, AloneNeedsNoLauncher) {
  auto world = World::join(kIdentity, {});
  ASSERT_TRUE(world) << world.error().message;
  EXPECT_EQ((*world)->members().size(), 1U);
  EXPECT_EQ(check_operations((*world)->group(), 1, 20, 0), "");
  EXPECT_EQ(check_sums((*world)->group(), 2, 100), "");
  EXPECT_EQ(check_split((*world)->group(), 3, 101), "");
  EXPECT_TRUE((*world)->leave());
}

TEST(World, NamesWhoeverDiffers) {
  MemoryJob job(4);
  const auto results = run_ranks(job, 4, patient(), leave, [](int rank) {
    Identity identity = kIdentity;
    if (rank == 2) identity.version = "0.2.0";
    if (rank == 0) identity.model_hash = "other";
    return identity;
  });
  for (const std::string& result : results) {
    EXPECT_THAT(result,
                AllOf(HasSubstr("expected version 0.1.0 as on other ranks, got 0.2.0 on rank "
                                "2 (host "),
                      HasSubstr("expected model abc as on other ranks, got other on rank 0 "
                                "(host ")));
  }
}

TEST(World, NamesARankInAnotherOperation) {
  MemoryJob job(3);
  const auto results = run_ranks(job, 3, patient(), [](World& world) {
    float value = 1;
    Group& group = world.group();
    const Status status = group.rank() == 1
                              ? group.broadcast({6, "plan", {}}, 0, &value, sizeof(value))
                              : group.all_reduce({5, "out", {}}, FATHOM_F32, &value, 1);
    return status ? "done" : status.error().message;
  });
  // Rank 0 or rank 2, whoever saw it first; the other may hear of it before it sees for itself.
  EXPECT_THAT(results, Contains(AllOf(HasSubstr("lost rank 1 (host "),
                                      HasSubstr("expected all_reduce out of step 5 as on rank 0, "
                                                "got broadcast plan of step 6"))));
  for (const std::string& result : results) EXPECT_THAT(result, HasSubstr("rank 1 (host "));
}

TEST(World, NamesARankWithAnotherSize) {
  MemoryJob job(2);
  const auto results = run_ranks(job, 2, patient(), [](World& world) {
    float values[2] = {};
    const Status status = world.group().all_reduce({5, "out", {}}, FATHOM_F32, values,
                                                   world.group().rank() == 0 ? 1 : 2);
    return status ? "done" : status.error().message;
  });
  EXPECT_THAT(results, Contains(HasSubstr("of another size")));  // whoever saw it first
}

TEST(World, NamesARankThatSentAnotherSizeThanWasExpected) {
  MemoryJob job(2);
  const auto results = run_ranks(job, 2, patient(), [](World& world) {
    std::vector<char> data(8);
    const bool first = world.group().rank() == 0;
    const std::vector<size_t> to = first ? std::vector<size_t>{0, 3} : std::vector<size_t>{4, 0};
    const std::vector<size_t> from = first ? std::vector<size_t>{0, 4} : std::vector<size_t>{5, 0};
    const Status status =
        world.group().all_to_all({5, "out", {}}, data.data(), to, data.data(), from);
    return status ? "done" : status.error().message;
  });
  EXPECT_THAT(results[1], HasSubstr("lost rank 0"));
  EXPECT_THAT(results[1], HasSubstr("expected 5 bytes, got 3"));
}

// Rank 2 computes for ever: rank 1 waits for it in a group of two, rank 0 waits for rank 1.
TEST(World, BlamesWhoeverComputesAndNotWhoeverWaits) {
  MemoryJob job(3);
  WorldOptions options = patient();
  options.lost_after = milliseconds(2000);
  std::atomic<int> lost = 0;
  options.on_lost = [&](const Error&) { ++lost; };
  const auto results = run_ranks(job, 3, options, [&](World& world) {
    Group& all = world.group();
    auto pair = all.split({0, "pair", {}}, all.rank() == 0 ? 0 : 1, 0);
    if (!pair) return pair.error().message;
    while (all.rank() == 2 && lost == 0) std::this_thread::sleep_for(milliseconds(1));
    if (all.rank() == 1) {
      const Status status = (*pair)->barrier({7, "pair", {}});
      return status ? "done" : status.error().message;
    }
    const Status status = all.barrier({8, "all", milliseconds(1000)});
    return status ? "done" : status.error().message;
  });
  EXPECT_THAT(results[0], AllOf(HasSubstr("lost rank 2 (host "),
                                HasSubstr("not in barrier all of step 8 within 1.0 s"),
                                HasSubstr("its last known operation: split pair of step 0")));
  EXPECT_THAT(results[1], AllOf(HasSubstr("lost rank 2 (host "), HasSubstr("as rank 0 found")));
}

// Of what ranks do beside their groups only the end is waited for.
TEST(World, NamesARankThatDoesNotComeToWhereOthersWait) {
  MemoryJob job(3);
  std::atomic<int> lost = 0;
  WorldOptions options = patient();
  options.on_lost = [&](const Error&) { ++lost; };
  const auto results = run_ranks(job, 3, options, [&](World& world) {
    Group& group = world.group();
    int looks = 0;
    const Status done =
        group.await({6, "step", {}}, [&]() -> Result<bool> { return ++looks == 3; });
    const Status failed = group.await({7, "step", {}}, []() -> Result<bool> {
      return Error{ErrorCode::kInternal, "the chip says so"};
    });
    if (!done || failed.ok() || failed.error().message != "the chip says so") {
      return std::string("expected the end, and then what the chip says");
    }
    while (group.rank() == 1 && lost == 0) std::this_thread::sleep_for(milliseconds(1));
    const Status status =
        group.await({8, "step", milliseconds(1000)}, []() -> Result<bool> { return false; });
    return status.error().message;
  });
  EXPECT_THAT(results,
              Contains(AllOf(HasSubstr("lost rank 1 (host "),
                             HasSubstr("not in await step of step 8 within 1.0 s"),
                             HasSubstr("its last known operation: await step of step 7"))));
  for (const std::string& result : results) EXPECT_THAT(result, HasSubstr("rank 1 (host "));
}

TEST(World, ExplainsAFailureByTheRankThatIsLost) {
  MemoryJob job(2);
  WorldOptions options = patient();
  options.lost_after = milliseconds(500);
  const Error of_chip = {ErrorCode::kInternal, "rank 1 of the group has ended"};
  const auto results = run_ranks(job, 2, options, [&](World& world) {
    if (world.group().rank() == 1) job.cut(1, Channel::kHealth);
    return world.group().explain(of_chip).message;
  });
  EXPECT_THAT(results[0], HasSubstr("lost rank 1 (host "));
}

class SilentRank : public testing::TestWithParam<int> {};

TEST_P(SilentRank, IsNamedByTheOthers) {
  MemoryJob job(4);
  WorldOptions options = patient();
  options.lost_after = milliseconds(1000);
  const int silent = GetParam();
  const auto results = run_ranks(job, 4, options, [&](World& world) {
    float value = 1;
    const Status first = world.group().all_reduce({1, "first", {}}, FATHOM_F32, &value, 1);
    if (!first) return first.error().message;
    if (world.group().rank() == silent) {
      job.cut(silent, Channel::kHealth);
      job.cut(silent, Channel::kData);
    }
    const Status status = world.group().all_reduce({2, "second", {}}, FATHOM_F32, &value, 1);
    return status ? "done" : status.error().message;
  });
  for (int rank = 0; rank < 4; ++rank) {
    if (rank == silent) continue;
    EXPECT_THAT(results[static_cast<size_t>(rank)],
                AllOf(HasSubstr(fmt::format("lost rank {} (host ", silent)),
                      HasSubstr("its last known operation: ")));
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, SilentRank, testing::Values(0, 1, 3));

TEST(World, NamesARankThatDoesNotAnswerAtTheStart) {
  MemoryJob job(3);
  WorldOptions options = patient();
  options.start_deadline = milliseconds(1000);
  options.lost_after = milliseconds(3000);  // rank 1 itself hears everyone, until they end
  job.cut(1, Channel::kData);
  const auto results = run_ranks(job, 3, options, leave);
  EXPECT_THAT(results[0], AllOf(HasSubstr("lost rank 1 (host not known yet)"),
                                HasSubstr("not in all_gather roster of step -1 within")));
}

TEST(World, AfterALossEveryOperationFails) {
  MemoryJob job(2);
  const auto results = run_ranks(job, 2, patient(), [](World& world) {
    Group& group = world.group();
    const milliseconds deadline(group.rank() == 0 ? 100 : 60000);
    const Status first = group.barrier({1, group.rank() == 0 ? "a" : "b", deadline});
    const Status second = group.barrier({2, "c", {}});
    const Status end = world.leave();
    if (first || second || end) return std::string("expected errors");
    return first.error().message == second.error().message ? "" : second.error().message;
  });
  EXPECT_EQ(results, std::vector<std::string>(2));
}

TEST(Group, RefusesWrongArguments) {
  MemoryJob job(2);
  const auto results = run_ranks(job, 2, patient(), [](World& world) {
    Group& group = world.group();
    const Tag tag = {1, "x", {}};
    const size_t one[] = {0};
    const int64_t negative[] = {1, -1};
    std::string text;
    const auto add = [&](const Status& status) {
      text += status ? "accepted\n" : status.error().message + "\n";
    };
    add(group.all_reduce(tag, FATHOM_F16, nullptr, 0));
    add(group.all_reduce(tag, FATHOM_F32, nullptr, -1));
    add(group.all_gather(tag, nullptr, nullptr, one));
    add(group.reduce_scatter(tag, FATHOM_F32, nullptr, nullptr, negative));
    add(group.broadcast(tag, 2, nullptr, 0));
    add(group.send(tag, group.rank(), nullptr, 0));
    text += leave(world);
    return text;
  });
  EXPECT_EQ(results[1],
            "x: expected f32 or bf16 to add up, got f16\n"
            "x: expected a count from 0, got -1\n"
            "x: expected 2 sizes, got 1\n"
            "x: expected counts from 0, got -1\n"
            "x: expected a root from 0 to 1, got 2\n"
            "x: expected another rank, got 1, this one\n");
}

}  // namespace
}  // namespace fathom::comm
