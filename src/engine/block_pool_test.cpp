#include "engine/block_pool.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace fathom::engine
