#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "engine/testing/scheduler_bench.h"

namespace fathom::engine {
namespace {

TEST(Scheduler, DecodesAllThenReadsPromptsInOrder) {
  Bench bench(roomy(), 100);
  const Sequence& a = bench.add(3, 9);
  const Sequence& b = bench.add(5, 9);
  EXPECT_EQ(bench.step(), (Rows{{&a, 3}, {&b, 5}}));
  const Sequence& c = bench.add(20, 9);
  const Sequence& d = bench.add(10, 9);
  EXPECT_EQ(bench.step(), (Rows{{&a, 1}, {&b, 1}, {&c, 8}, {&d, 8}}));  // half to the shortest
  EXPECT_EQ(bench.step(), (Rows{{&a, 1}, {&b, 1}, {&c, 12}, {&d, 2}}));
  EXPECT_EQ(bench.step(), (Rows{{&a, 1}, {&b, 1}, {&c, 1}, {&d, 1}}));
}

TEST(Scheduler, LowerPriorityValueGoesFirst) {
  Bench bench(roomy(), 100);
  const Sequence& late = bench.add(28, 2, 5);
  const Sequence& urgent = bench.add(10, 2, -1);
  EXPECT_EQ(bench.step(), (Rows{{&urgent, 10}, {&late, 22}}));
}

TEST(Scheduler, AnUrgentPromptNeedNotWaitForALongOne) {
  Bench bench(roomy(), 100);
  const Sequence& slow = bench.add(100, 2);
  EXPECT_EQ(bench.step(), (Rows{{&slow, 32}}));
  const Sequence& behind = bench.add(80, 2);
  const Sequence& urgent = bench.add(10, 2, -1);
  EXPECT_EQ(bench.step(), (Rows{{&urgent, 10}, {&slow, 22}}));
  EXPECT_EQ(behind.computed, 0);
  EXPECT_TRUE(behind.blocks.empty());  // not admitted before it can begin
}

TEST(Scheduler, AdmitsOnlyWithHeadroomForWhatRuns) {
  Bench bench(roomy(), 5);
  const Sequence& a = bench.add(8, 20);  // 2 blocks, and soon a third
  EXPECT_EQ(bench.step(), (Rows{{&a, 8}}));
  const Sequence& b = bench.add(9, 20);  // 3 blocks: exactly what is left
  EXPECT_EQ(bench.step(), (Rows{{&a, 1}}));
  EXPECT_TRUE(b.blocks.empty());
  EXPECT_EQ(bench.scheduler.preemptions(), 0u);  // not admitted, rather than thrown out at once
}

TEST(Scheduler, NobodyOvertakesTheHeadOfTheQueue) {
  Bench bench(roomy(), 6);
  const Sequence& a = bench.add(12, 20);
  bench.step();
  const Sequence& large = bench.add(16, 20);
  const Sequence& small = bench.add(1, 20);
  EXPECT_EQ(bench.step(), (Rows{{&a, 1}}));
  EXPECT_TRUE(large.blocks.empty());
  EXPECT_TRUE(small.blocks.empty());
}

TEST(Scheduler, PreemptsTheLastOfTheLowestPriority) {
  Bench bench(roomy(), 7);
  const Sequence& low = bench.add(4, 30, 1);
  const Sequence& first = bench.add(4, 30);
  const Sequence& second = bench.add(4, 30);
  EXPECT_EQ(bench.step(), (Rows{{&low, 4}, {&first, 4}, {&second, 4}}));
  while (bench.scheduler.preemptions() == 0) bench.step();
  EXPECT_TRUE(low.blocks.empty());
  EXPECT_EQ(low.computed, 0);
  EXPECT_EQ(first.remaining(), 1);
  EXPECT_EQ(second.remaining(), 1);
  while (bench.scheduler.preemptions() == 1) bench.step();
  EXPECT_TRUE(second.blocks.empty());
  EXPECT_EQ(first.remaining(), 1);
}

TEST(Scheduler, BoundsAChunkByItsLogitRows) {
  SchedulerLimits limits = roomy();
  limits.max_running = 2;
  limits.max_logit_rows = 3;
  Bench bench(limits, 100);
  const Sequence& decoding = bench.add(2, 30);
  bench.step();
  Sequence& scored = bench.add(6, 30);
  scored.sampling.prompt_logprobs = 0;
  EXPECT_EQ(bench.step(), (Rows{{&decoding, 1}, {&scored, 2}}));
  scored.prompt_scored = 5;  // as when it was preempted later: nothing is scored twice
  EXPECT_EQ(bench.step(), (Rows{{&decoding, 1}, {&scored, 4}}));
}

TEST(Scheduler, CountsCachedBlocksAsFreeAndSharedOnesOnce) {
  Bench bench(roomy(), 5);
  const Sequence& first = bench.add(8, 1);
  bench.step();
  EXPECT_EQ(bench.pool.available(), 5);
  EXPECT_TRUE(first.blocks.empty());
  Sequence& again = bench.add(9, 20);
  again.tokens = first.tokens;
  again.tokens[8] = 77;
  EXPECT_EQ(bench.step(), (Rows{{&again, 1}}));  // 2 blocks found, 1 taken
  EXPECT_EQ(bench.pool.available(), 2);
  Sequence& third = bench.add(9, 20);
  third.tokens = again.tokens;
  third.tokens.resize(9);
  EXPECT_EQ(bench.step(), (Rows{{&again, 1}, {&third, 1}}));  // 2 shared, 1 taken, 1 to spare
  EXPECT_EQ(bench.pool.available(), 1);
}

TEST(Scheduler, APreemptedSequenceFindsItsBlocksAgain) {
  Bench bench(roomy(), 8);
  Sequence& urgent = bench.add(4, 9);
  const Sequence& preempted = bench.add(16, 30, 1);
  while (bench.scheduler.preemptions() == 0) bench.step();
  EXPECT_EQ(preempted.computed, 0);
  bench.scheduler.remove(urgent);
  EXPECT_LE(bench.step()[&preempted], 4);
  EXPECT_GT(preempted.computed, 16);
}

TEST(Scheduler, DraftsRunBehindTheirSequenceWhereThereIsRoom) {
  SchedulerLimits limits = roomy();
  limits.max_running = 2;
  limits.max_step_tokens = 5;
  Bench bench(limits, 100);
  Sequence& a = bench.add(2, 20);
  Sequence& b = bench.add(2, 20);
  bench.step();
  for (Sequence* sequence : {&a, &b}) {
    sequence->tokens.insert(sequence->tokens.end(), {8, 9});
    sequence->drafts = 2;
  }
  const auto step = bench.scheduler.next_step();
  ASSERT_EQ(step.size(), 2u);
  EXPECT_EQ(step[0].rows, 3);
  EXPECT_EQ(step[0].logit_rows, 3);
  EXPECT_EQ(step[1].rows, 2);
  EXPECT_EQ(b.drafts, 1);
  EXPECT_EQ(b.length(), 3);
}

TEST(Scheduler, NobodyIsPreemptedForADraft) {
  Bench bench(roomy(), 3);
  Sequence& a = bench.add(3, 4);
  const Sequence& b = bench.add(3, 4, 1);
  bench.step();
  bench.pool.take();
  a.tokens.push_back(9);
  a.drafts = 1;  // would need a second block
  EXPECT_EQ(bench.step(), (Rows{{&a, 1}, {&b, 1}}));
  EXPECT_EQ(a.drafts, 0);
  EXPECT_EQ(bench.scheduler.preemptions(), 0u);
}

TEST(Scheduler, NobodyIsPreemptedWhileAStepIsInFlight) {
  Bench bench(roomy(), 7);
  bench.add(4, 30, 1);
  bench.add(4, 30);
  bench.add(4, 30);
  int64_t steps = 0;
  while (bench.scheduler.make_places()) {
    bench.step();
    ASSERT_LT(++steps, 100);
  }
  EXPECT_GT(steps, 4);
  EXPECT_EQ(bench.scheduler.preemptions(), 0u);
  bench.step();
  EXPECT_EQ(bench.scheduler.preemptions(), 1u);
}

// Nor so that the others get their share.
TEST(Scheduler, NobodyGivesItsPlaceWhileAStepIsInFlight) {
  SchedulerLimits limits = roomy();
  limits.max_running = 2;
  Bench bench(limits, 100);
  bench.add(4, 30, 0, 1);
  bench.add(4, 30, 0, 1);
  bench.step();
  EXPECT_TRUE(bench.scheduler.make_places());
  const Sequence& other = bench.add(4, 30, 0, 2);
  EXPECT_FALSE(bench.scheduler.make_places());
  EXPECT_TRUE(other.blocks.empty());
  bench.step();
  EXPECT_EQ(bench.scheduler.preemptions(), 1u);
  EXPECT_EQ(other.remaining(), 1);
}

// Half of the rows go to the shortest prompt, which is the waiting one: what counts is all that is
// left of the other, not what the first half of the rows leaves of it.
TEST(Scheduler, AWaitingPromptIsAdmittedIfItWouldBeRead) {
  SchedulerLimits limits = roomy();
  limits.prefill_chunk = 2;
  Bench bench(limits, 100);
  const Sequence& slow = bench.add(11, 9);
  EXPECT_EQ(bench.step(), (Rows{{&slow, 4}}));
  const Sequence& waiting = bench.add(5, 9);
  EXPECT_EQ(bench.step(), (Rows{{&slow, 2}, {&waiting, 2}}));
}

// Random loads: the limits hold, blocks cover the rows and are shared rightly, every decoding
// sequence runs unless it was preempted, the most urgent always advances, and all end.
TEST(Scheduler, RandomLoadsKeepTheInvariants) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    std::mt19937_64 random(seed);
    const auto up_to = [&](int64_t most) {
      return 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(most));
    };
    SchedulerLimits limits;
    limits.max_running = up_to(8);
    limits.max_waiting = 64;
    limits.prefill_chunk = up_to(20);
    limits.max_step_tokens = limits.max_running + up_to(16) - 1;
    limits.max_logit_rows = limits.max_running + up_to(4) - 1;
    limits.block_size = up_to(5);
    const int64_t num_blocks = 3 + up_to(12);
    const int64_t capacity = num_blocks * limits.block_size;
    Bench bench(limits, num_blocks);

    int64_t to_come = 25;
    int64_t steps = 0;
    while (to_come > 0 || bench.scheduler.has_work()) {
      ASSERT_LT(++steps, 5000) << "seed " << seed;
      if (to_come > 0 && (random() % 3 == 0 || !bench.scheduler.has_work())) {
        const int64_t prompt = up_to(capacity);
        const int64_t max_new = std::min(up_to(30), capacity - prompt);
        Sequence& added =
            bench.add(prompt, std::max<int64_t>(max_new, 1), static_cast<int32_t>(random() % 3));
        if (random() % 4 == 0) added.sampling.prompt_logprobs = 0;
        const auto shared = static_cast<ptrdiff_t>(random() % static_cast<uint64_t>(prompt + 1));
        std::fill(added.tokens.begin(), added.tokens.begin() + shared, 0);
        --to_come;
      }
      std::set<const Sequence*> decoding;
      for (const Sequence& sequence : bench.sequences) {
        if (!sequence.blocks.empty() && sequence.remaining() == 1) decoding.insert(&sequence);
      }
      const auto chunks = bench.scheduler.next_step();
      ASSERT_FALSE(chunks.empty());
      int64_t rows = 0;
      int64_t logit_rows = 0;
      for (const Chunk& chunk : chunks) {
        rows += chunk.rows;
        logit_rows += chunk.logit_rows;
        decoding.erase(chunk.sequence);
        ASSERT_GE(static_cast<int64_t>(chunk.sequence->blocks.size()) * limits.block_size,
                  chunk.sequence->computed + chunk.rows);
      }
      ASSERT_LE(rows, limits.max_step_tokens);
      ASSERT_LE(logit_rows, limits.max_logit_rows);
      for (const Sequence* sequence : decoding) ASSERT_TRUE(sequence->blocks.empty());
      std::map<int32_t, int64_t> holders;
      for (const Sequence& sequence : bench.sequences) {
        for (const int32_t block : sequence.blocks) ++holders[block];
      }
      ASSERT_EQ(static_cast<int64_t>(holders.size()), bench.pool.used());
      for (const Chunk& chunk : chunks) {
        const auto& blocks = chunk.sequence->blocks;
        for (int64_t row = chunk.sequence->computed / limits.block_size;
             row < static_cast<int64_t>(blocks.size()); ++row) {
          ASSERT_EQ(holders[blocks[static_cast<size_t>(row)]], 1);  // nobody writes what is shared
        }
      }

      for (const Chunk& chunk : chunks) {
        Sequence& sequence = *chunk.sequence;
        const int64_t end = sequence.computed + chunk.rows;
        for (int64_t row = sequence.computed; row < end; ++row) {
          if (row + 1 < sequence.prompt_size && sequence.wants_logits(row)) {
            ++sequence.prompt_scored;
          }
        }
        bench.scheduler.advance(sequence, chunk.rows);
        if (sequence.remaining() > 0) continue;
        sequence.tokens.push_back(0);
        if (sequence.generated() >= sequence.max_new || sequence.length() >= capacity) {
          bench.scheduler.remove(sequence);
        }
      }
    }
    EXPECT_EQ(bench.pool.used(), 0);
  }
}

}  // namespace
}  // namespace fathom::engine
