#include "engine/schedule/block_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace fathom::engine {
namespace {

TEST(BlockPool, HandsOutEveryBlockOnceAndTakesThemBack) {
  BlockPool pool(5);
  std::vector<int32_t> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(pool.take());
  EXPECT_EQ(std::set<int32_t>(blocks.begin(), blocks.end()), (std::set<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.available(), 0);
  EXPECT_EQ(pool.used(), 5);

  std::vector<int32_t> two = {blocks[1], blocks[3]};
  pool.release(two);
  EXPECT_TRUE(two.empty());
  EXPECT_EQ(pool.available(), 2);
  const std::set<int32_t> again = {pool.take(), pool.take()};
  EXPECT_EQ(again, (std::set<int32_t>{blocks[1], blocks[3]}));
}

TEST(BlockPool, ABlockIsFreeWhenItsLastReferenceGoes) {
  BlockPool pool(2);
  std::vector<int32_t> first = {pool.take()};
  pool.publish(first[0], {1, 2});
  EXPECT_EQ(pool.find({1, 2}), first[0]);
  EXPECT_EQ(pool.find({1, 3}), kNoBlock);
  std::vector<int32_t> second = first;
  pool.share(second[0]);
  pool.release(first);
  EXPECT_EQ(pool.used(), 1);
  pool.release(second);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(pool.available(), 2);
}

TEST(BlockPool, FindsOneOfTwoEqualBlocksUntilItIsTaken) {
  BlockPool pool(3);
  std::vector<int32_t> first = {pool.take()};
  std::vector<int32_t> second = {pool.take()};
  const int32_t published = first[0];
  pool.publish(first[0], {1, 2});
  pool.publish(second[0], {1, 2});
  EXPECT_EQ(pool.find({1, 2}), published);
  pool.release(first);
  pool.release(second);
  pool.take();
  pool.take();
  EXPECT_EQ(pool.find({1, 2}), published);  // the last to go
  EXPECT_EQ(pool.take(), published);
  EXPECT_EQ(pool.find({1, 2}), kNoBlock);
}

TEST(BlockPool, APinnedBlockIsNobodysAndNotAvailable) {
  BlockPool pool(3);
  std::vector<int32_t> first = {pool.take(), pool.take()};
  pool.publish(first[0], {1, 2});
  std::vector<int32_t> second = {first[0]};
  pool.share(first[0]);
  pool.release_pinned(first);
  EXPECT_EQ(pool.used(), 1);  // the second one's
  EXPECT_EQ(pool.available(), 1);
  pool.release(second);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(pool.available(), 1);
  EXPECT_EQ(pool.find({1, 2}), first[0]);  // it may be shared again meanwhile
  pool.share(first[0]);
  EXPECT_EQ(pool.used(), 1);
  pool.unpin(first);
  EXPECT_EQ(pool.available(), 2);
  second = {first[0]};
  pool.release(second);
  EXPECT_EQ(pool.available(), 3);
  EXPECT_EQ(pool.used(), 0);
}

// Against a map, with hashes that share buckets.
TEST(BlockPool, FindsWhatAMapFinds) {
  constexpr int64_t kBlocks = 16;
  std::mt19937_64 random(1);
  BlockPool pool(kBlocks);
  std::map<uint64_t, int32_t> published;
  std::vector<std::vector<int32_t>> tables;
  std::vector<std::vector<int32_t>> pinned;
  for (int round = 0; round < 5000; ++round) {
    const uint64_t key = random() % 40;
    const Hash128 hash = {(key % 3) * 1024, key};
    const int32_t found = pool.find(hash);
    ASSERT_EQ(found, published.count(key) ? published[key] : kNoBlock);
    if (found != kNoBlock && random() % 2 == 0) {
      pool.share(found);
      tables.push_back({found});
    } else if (pool.available() > 0 && random() % 2 == 0) {
      const int32_t taken = pool.take();
      std::erase_if(published, [&](const auto& entry) { return entry.second == taken; });
      pool.publish(taken, hash);
      published.emplace(key, taken);
      tables.push_back({taken});
    } else if (!pinned.empty() && random() % 2 == 0) {
      pool.unpin(pinned.back());
      pinned.pop_back();
    } else if (!tables.empty()) {
      std::swap(tables[random() % tables.size()], tables.back());
      if (random() % 4 == 0) {
        pool.release_pinned(tables.back());
        pinned.push_back(tables.back());
      } else {
        pool.release(tables.back());
      }
      tables.pop_back();
    }
    std::set<int32_t> held;
    for (const auto& table : tables) held.insert(table.begin(), table.end());
    ASSERT_EQ(pool.used(), static_cast<int64_t>(held.size()));
    for (const auto& table : pinned) held.insert(table.begin(), table.end());
    ASSERT_EQ(pool.available(), kBlocks - static_cast<int64_t>(held.size()));
  }
}

TEST(BlockPoolDeathTest, RefusesMisuse) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  BlockPool pool(2);
  std::vector<int32_t> twice = {pool.take()};
  twice.push_back(twice.front());
  EXPECT_DEATH(pool.release(twice), "expected a taken block");
  std::vector<int32_t> foreign = {2};
  EXPECT_DEATH(pool.release(foreign), "expected a taken block");
  pool.take();
  EXPECT_DEATH(pool.take(), "expected a free block");
}

TEST(BlockPool, BlocksThatAreKeptAreTakenLast) {
  BlockPool pool(4);
  std::vector<int32_t> published;
  for (uint64_t i = 0; i < 4; ++i) {
    published.push_back(pool.take());
    pool.publish(published.back(), {i + 1, 7});
  }
  const std::vector<int32_t> kept = {published[3], published[2]};  // released first
  std::vector<int32_t> all = published;
  pool.release(all);
  pool.keep(kept);
  pool.keep(std::span(kept).first(1));
  std::vector<int32_t> taken = {pool.take(), pool.take()};
  EXPECT_EQ(taken, (std::vector<int32_t>{published[1], published[0]}));
  EXPECT_NE(pool.find({3, 7}), kNoBlock);
  EXPECT_NE(pool.find({4, 7}), kNoBlock);
  pool.release(taken);
  pool.end_keep(kept);
  taken = {pool.take(), pool.take(), pool.take()};
  EXPECT_NE(pool.find({4, 7}), kNoBlock) << "it is kept for somebody else";
  EXPECT_EQ(pool.find({3, 7}), kNoBlock);
  EXPECT_EQ(pool.available(), 1);
  EXPECT_EQ(pool.take(), published[3]) << "there is no other";
  EXPECT_EQ(pool.available(), 0);
}

}  // namespace
}  // namespace fathom::engine
