#include "serving/cache_format.h"

#include <gtest/gtest.h>

#include <vector>

namespace fathom::serving {
namespace {

int32_t chosen(int64_t wanted, const std::vector<int32_t>& offers) {
  return choose_kv_block_size(wanted, offers, "x").value();
}

std::string refused(int64_t wanted, const std::vector<int32_t>& offers) {
  const auto size = choose_kv_block_size(wanted, offers, "x");
  return size ? "" : size.error().message;
}

TEST(CacheFormat, BlocksAreAsTheChipWantsThem) {
  EXPECT_EQ(chosen(0, {}), 32);
  EXPECT_EQ(chosen(0, {64, 32}), 64);
}

TEST(CacheFormat, BlocksAreAsTheFlagSaysWhereTheChipTakesThat) {
  EXPECT_EQ(chosen(17, {}), 17);
  EXPECT_EQ(chosen(16, {}), 16);
  EXPECT_EQ(chosen(128, {}), 128);
  EXPECT_EQ(chosen(32, {64, 32}), 32);
}

TEST(CacheFormat, ErrorsSayWhatTheChipTakes) {
  EXPECT_EQ(refused(16, {64, 32}),
            "--kv-block-size: expected 64 or 32, which chip x takes, got 16");
  EXPECT_EQ(refused(15, {}), "--kv-block-size: expected 16 to 128 tokens, got 15");
  EXPECT_EQ(refused(129, {}), "--kv-block-size: expected 16 to 128 tokens, got 129");
}

}  // namespace
}  // namespace fathom::serving
