#include "engine/schedule/prefix_cache.h"

#include <gtest/gtest.h>

#include <deque>

namespace fathom::engine {
namespace {

constexpr int64_t kBlock = 4;

// Sequences that are computed in order without a scheduler.
struct CacheBench {
  explicit CacheBench(bool exact = false, int64_t num_blocks = 20, bool enabled = true)
      : pool(num_blocks),
        cache({.enabled = enabled, .exact = exact, .block_size = kBlock}, random_prefix_keys(),
              pool) {}

  Sequence& add(std::vector<TokenId> tokens, int64_t given, const std::string& salt = "") {
    Sequence& sequence = sequences.emplace_back();
    sequence.tokens = std::move(tokens);
    sequence.prompt_size = sequence.length();
    sequence.given_size = given;
    sequence.cache_salt = salt;
    sequence.max_new = 1;
    return sequence;
  }
  Sequence& add(std::vector<TokenId> tokens) {
    const auto given = static_cast<int64_t>(tokens.size());
    return add(std::move(tokens), given);
  }

  // Adopts what is found and computes the rest. Returns the rows that were found.
  int64_t run(Sequence& sequence) {
    cache.adopt(sequence, cache.match(sequence));
    const int64_t found = sequence.computed;
    while (static_cast<int64_t>(sequence.blocks.size()) * kBlock < sequence.length()) {
      sequence.blocks.push_back(pool.take());
    }
    sequence.computed = sequence.length();
    cache.publish(sequence, found);
    return found;
  }

  BlockPool pool;
  PrefixCache cache;
  std::deque<Sequence> sequences;
};

std::vector<TokenId> count_up(TokenId size, TokenId first = 0) {
  std::vector<TokenId> tokens;
  for (TokenId i = 0; i < size; ++i) tokens.push_back(first + i);
  return tokens;
}

// What was matched before the rest of a prompt comes from elsewhere.
TEST(PrefixCache, KeepsWhatWasMatchedWhileOthersNeedBlocks) {
  CacheBench bench(false, 6);
  Sequence& first = bench.add(count_up(9));
  bench.run(first);
  bench.pool.release(first.blocks);
  Sequence& waiting = bench.add(count_up(20));
  std::vector<int32_t> kept;
  bench.cache.keep(waiting, kept);
  ASSERT_EQ(kept.size(), 2u);
  for (TokenId other = 0; other < 3; ++other) {
    Sequence& passing = bench.add(count_up(14, 1000 + 100 * other));
    bench.run(passing);
    bench.pool.release(passing.blocks);
  }
  EXPECT_EQ(bench.cache.match(waiting).blocks, 2);
  bench.pool.end_keep(kept);
  Sequence& last = bench.add(count_up(14, 5000));
  bench.run(last);
  bench.pool.release(last.blocks);
  Sequence& next = bench.add(count_up(14, 6000));
  bench.run(next);
  EXPECT_LT(bench.cache.match(waiting).blocks, 2);
}

TEST(PrefixCache, SharesFullBlocksOfAnEqualBeginning) {
  CacheBench bench;
  Sequence& first = bench.add(count_up(14));
  EXPECT_EQ(bench.run(first), 0);
  std::vector<TokenId> tokens = count_up(14);
  tokens[9] = 99;
  Sequence& second = bench.add(tokens);
  EXPECT_EQ(bench.cache.match(second).in_use, 2);
  EXPECT_EQ(bench.run(second), 8);
  EXPECT_EQ(second.blocks[1], first.blocks[1]);
  EXPECT_NE(second.blocks[2], first.blocks[2]);
  EXPECT_EQ(bench.pool.used(), 6);

  bench.pool.release(first.blocks);
  EXPECT_EQ(bench.pool.used(), 4);
  bench.pool.release(second.blocks);
  EXPECT_EQ(bench.pool.used(), 0);
  EXPECT_EQ(bench.run(bench.add(count_up(14))), 12);  // what nobody holds is still found
}

TEST(PrefixCache, ABlockIsFoundOnlyBehindTheSameBlocks) {
  CacheBench bench;
  bench.run(bench.add(count_up(12)));
  std::vector<TokenId> tokens = count_up(12);
  tokens[0] = 50;
  EXPECT_EQ(bench.run(bench.add(tokens)), 0);
  EXPECT_EQ(bench.run(bench.add(count_up(8, 4))), 0);  // the same tokens elsewhere
}

TEST(PrefixCache, TheLastTokenIsAlwaysComputed) {
  CacheBench bench;
  bench.run(bench.add(count_up(8)));
  EXPECT_EQ(bench.run(bench.add(count_up(8))), 4);
  EXPECT_EQ(bench.run(bench.add(count_up(9))), 8);
}

TEST(PrefixCache, ScoredRowsAreComputed) {
  CacheBench bench;
  bench.run(bench.add(count_up(12)));
  Sequence& scored = bench.add(count_up(12));
  scored.sampling.prompt_logprobs = 0;
  EXPECT_EQ(bench.cache.match(scored).blocks, 0);
  scored.prompt_scored = 9;  // as after a preemption
  EXPECT_EQ(bench.run(scored), 8);
}

TEST(PrefixCache, SaltsDoNotMeet) {
  CacheBench bench;
  bench.run(bench.add(count_up(12), 12, "one"));
  EXPECT_EQ(bench.run(bench.add(count_up(12), 12, "two")), 0);
  EXPECT_EQ(bench.run(bench.add(count_up(12))), 0);
  EXPECT_EQ(bench.run(bench.add(count_up(12), 12, "one")), 8);
}

TEST(PrefixCache, ExactTellsGivenFromGeneratedRows) {
  CacheBench exact(true);
  exact.run(exact.add(count_up(12), 6));
  EXPECT_EQ(exact.run(exact.add(count_up(12))), 4);
  EXPECT_EQ(exact.run(exact.add(count_up(12), 7)), 4);
  EXPECT_EQ(exact.run(exact.add(count_up(12), 6)), 8);
  CacheBench loose(false);
  loose.run(loose.add(count_up(12), 6));
  EXPECT_EQ(loose.run(loose.add(count_up(12))), 8);
}

TEST(PrefixCache, ForgetsTheEndOfWhatWasReleasedFirst) {
  CacheBench bench(false, 6);
  Sequence& old = bench.add(count_up(12));
  Sequence& recent = bench.add(count_up(12, 100));
  bench.run(old);
  bench.run(recent);
  bench.pool.release(old.blocks);
  bench.pool.release(recent.blocks);
  EXPECT_EQ(bench.pool.available(), 6);
  std::vector<int32_t> taken = {bench.pool.take(), bench.pool.take()};
  EXPECT_EQ(bench.cache.match(bench.add(count_up(13))).blocks, 1);
  EXPECT_EQ(bench.cache.match(bench.add(count_up(13, 100))).blocks, 3);
  bench.pool.release(taken);  // these hold nothing and go first
  taken = {bench.pool.take(), bench.pool.take()};
  EXPECT_EQ(bench.cache.match(bench.add(count_up(13))).blocks, 1);
}

TEST(PrefixCache, UsingABlockAgainKeepsIt) {
  CacheBench bench(false, 6);
  Sequence& first = bench.add(count_up(4));
  Sequence& second = bench.add(count_up(4, 100));
  bench.run(first);
  bench.run(second);
  bench.pool.release(first.blocks);
  bench.pool.release(second.blocks);
  Sequence& again = bench.add(count_up(5));
  EXPECT_EQ(bench.run(again), 4);
  bench.pool.release(again.blocks);
  std::vector<int32_t> taken;
  for (int i = 0; i < 5; ++i) taken.push_back(bench.pool.take());
  EXPECT_EQ(bench.cache.match(bench.add(count_up(5))).blocks, 1);
  EXPECT_EQ(bench.cache.match(bench.add(count_up(5, 100))).blocks, 0);
}

TEST(PrefixCache, OffItFindsNothing) {
  CacheBench bench(false, 20, false);
  bench.run(bench.add(count_up(12)));
  EXPECT_EQ(bench.run(bench.add(count_up(12))), 0);
}

}  // namespace
}  // namespace fathom::engine
