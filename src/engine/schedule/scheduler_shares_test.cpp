// Fair shares of a scheduler: by owner, then by API request.
#include <gtest/gtest.h>

#include "engine/testing/scheduler_bench.h"

namespace fathom::engine {
namespace {

// How many steps until the sequence has its first token.
int64_t steps_to_answer(Bench& bench, const Sequence& sequence) {
  for (int64_t steps = 1;; ++steps) {
    bench.step();
    if (sequence.generated() > 0) return steps;
    if (steps == 10'000) return steps;
  }
}

int64_t running_of(const Bench& bench, uint64_t owner, RequestId request) {
  int64_t running = 0;
  for (const Sequence& each : bench.sequences) {
    if (each.owner == owner && each.request == request && !each.blocks.empty()) ++running;
  }
  return running;
}

TEST(SchedulerShares, ARequestOfManyPartsMakesRoomForTheNext) {
  Bench bench(roomy(), 1000);
  for (int i = 0; i < 100; ++i) bench.add(2, 400, 0, 0, 1);
  for (int i = 0; i < 3; ++i) bench.step();
  EXPECT_EQ(running_of(bench, 0, 1), 8);
  const Sequence& chat = bench.add(2, 400, 0, 0, 2);
  EXPECT_EQ(steps_to_answer(bench, chat), 1);
  EXPECT_EQ(running_of(bench, 0, 1), 7);
  EXPECT_EQ(bench.scheduler.preemptions(), 1u);
  for (int i = 0; i < 50; ++i) bench.step();
  EXPECT_EQ(bench.scheduler.preemptions(), 1u);  // and nobody is thrown out again
}

TEST(SchedulerShares, RequestsOfOneOwnerGetEqualShares) {
  Bench bench(roomy(), 1000);
  for (int i = 0; i < 50; ++i) bench.add(2, 400, 0, 0, 1);
  bench.step();
  for (int i = 0; i < 50; ++i) bench.add(2, 400, 0, 0, 2);
  for (int i = 0; i < 3; ++i) bench.step();
  EXPECT_EQ(running_of(bench, 0, 1), 4);
  EXPECT_EQ(running_of(bench, 0, 2), 4);
}

TEST(SchedulerShares, OwnersGetEqualSharesWhateverTheirNumberOfRequests) {
  Bench bench(roomy(), 1000);
  for (RequestId request = 1; request <= 50; ++request) bench.add(2, 400, 0, 7, request);
  bench.step();
  for (RequestId request = 51; request <= 60; ++request) bench.add(2, 400, 0, 8, request);
  for (int i = 0; i < 3; ++i) bench.step();
  int64_t sevens = 0;
  for (RequestId request = 1; request <= 50; ++request) sevens += running_of(bench, 7, request);
  EXPECT_EQ(sevens, 4);
}

TEST(SchedulerShares, ManyRequestsOfOnePartTakeTurnsInOrder) {
  Bench bench(roomy(), 1000);
  for (RequestId request = 1; request <= 30; ++request) bench.add(2, 4, 0, 0, request);
  while (bench.scheduler.has_work()) bench.step();
  EXPECT_EQ(bench.scheduler.preemptions(), 0u);
}

TEST(SchedulerShares, MemoryIsSharedToo) {
  Bench bench(roomy(), 24);
  for (int i = 0; i < 20; ++i) bench.add(4, 60, 0, 0, 1);
  for (int i = 0; i < 10; ++i) bench.step();
  const Sequence& chat = bench.add(8, 20, 0, 0, 2);
  EXPECT_LE(steps_to_answer(bench, chat), 4);
  const uint64_t before = bench.scheduler.preemptions();
  for (int i = 0; i < 19; ++i) {
    EXPECT_EQ(bench.step().count(&chat), 1u) << i;  // others grow, and it is not who yields
  }
  EXPECT_GT(bench.scheduler.preemptions(), before);
  EXPECT_EQ(chat.generated(), 20);
}

TEST(SchedulerShares, ManyShortPromptsFillTheStep) {
  SchedulerLimits limits = roomy();
  limits.max_running = 32;
  limits.max_logit_rows = 32;
  for (const int64_t length : {2, 3, 5, 8}) {
    Bench bench(limits, 1000);
    for (RequestId request = 1; request <= 32; ++request) bench.add(length, 4, 0, 0, request);
    int64_t rows = 0;
    for (const auto& [sequence, count] : bench.step()) rows += count;
    EXPECT_EQ(rows, 2 * limits.prefill_chunk) << length;  // as many as while nobody is answered
  }
}

TEST(SchedulerShares, AShortPromptIsNotHeldUpByARowOfLongOnes) {
  Bench bench(roomy(), 10'000);
  for (RequestId request = 1; request <= 7; ++request) bench.add(3000, 2, 0, 0, request);
  bench.step();
  const Sequence& chat = bench.add(64, 2, 0, 0, 9);
  // Alone: 64 rows of 32 a step, 2 steps.
  EXPECT_LE(steps_to_answer(bench, chat), 4);
}

TEST(SchedulerShares, ALongPromptIsNotHeldUpByShortOnes) {
  Bench bench(roomy(), 10'000);
  const Sequence& slow = bench.add(320, 2, 0, 0, 1);
  int64_t steps = 0;
  for (RequestId request = 2; slow.generated() == 0; ++request, ++steps) {
    for (int i = 0; i < 4; ++i) bench.add(16, 1, 0, 0, 4 * request + static_cast<RequestId>(i));
    bench.step();
    ASSERT_LT(steps, 100);
  }
  EXPECT_LE(steps, 2 * 320 / 16);  // 16 rows a step while others are answered
}

TEST(SchedulerShares, OwnersReadPromptsAlike) {
  Bench bench(roomy(), 10'000);
  std::vector<const Sequence*> many;
  for (RequestId request = 1; request <= 5; ++request) {
    many.push_back(&bench.add(1000, 2, 0, 7, request));
  }
  for (int i = 0; i < 10; ++i) bench.step();
  const Sequence& other = bench.add(1000, 2, 0, 8, 9);
  int64_t before = 0;
  for (const Sequence* each : many) before += each->computed;
  for (int i = 0; i < 20; ++i) bench.step();
  int64_t rows = -before;
  for (const Sequence* each : many) rows += each->computed;
  EXPECT_EQ(rows, 320);
  EXPECT_EQ(other.computed, 320);
}

TEST(SchedulerShares, NobodyYieldsToALowerPriority) {
  Bench bench(roomy(), 1000);
  for (int i = 0; i < 8; ++i) bench.add(2, 40, -1, 0, 1);
  bench.step();
  const Sequence& chat = bench.add(2, 40, 0, 0, 2);
  for (int i = 0; i < 10; ++i) bench.step();
  EXPECT_EQ(chat.generated(), 0);
  EXPECT_EQ(bench.scheduler.preemptions(), 0u);
}

// Of one request alone all work is done that was done without shares.
TEST(SchedulerShares, ARequestOfAThousandPartsHasAllPlacesToItself) {
  Bench bench(roomy(), 1000);
  for (int i = 0; i < 1024; ++i) bench.add(2, 3, 0, 0, 1);
  int64_t steps = 0;
  for (; bench.scheduler.has_work(); ++steps) bench.step();
  EXPECT_EQ(bench.scheduler.preemptions(), 0u);
  EXPECT_LE(steps, 3 * 1024 / 8 + 3);
}

}  // namespace
}  // namespace fathom::engine
