#include "models/deepseek_v3/step/draw_parts.h"

#include <gtest/gtest.h>

#include <vector>

namespace fathom::models::deepseek_v3 {
namespace {

template <typename T>
std::vector<T> listed(std::span<const T> values) {
  return {values.begin(), values.end()};
}

// Draws in any order, two of one row, and data indices without rows or draws.
TEST(DrawParts, EveryDataIndexHasItsOwn) {
  const sampling::Parameters params;
  std::vector<sampling::Draw> draws;
  const std::vector<int32_t> rows = {4, 0, 1, 1, 6, 3};
  for (size_t i = 0; i < rows.size(); ++i) {
    draws.push_back(
        {.params = params, .tokens = {}, .generated_from = 0, .banned = {}, .seed = 10 + i});
  }
  const std::vector<int32_t> read = {1, 2, 5};
  const std::vector<int64_t> first_rows = {0, 3, 3, 5, 5, 7};
  DrawParts parts(5, 6);
  for (int twice = 0; twice < 2; ++twice) {
    parts.split({.draws = draws, .rows = rows, .read = read}, first_rows);
    EXPECT_EQ(listed(parts[0].rows), (std::vector<int32_t>{0, 1, 1}));
    EXPECT_EQ(listed(parts.places(0)), (std::vector<size_t>{1, 2, 3}));
    EXPECT_EQ(parts[0].draws[1].seed, 12u);
    EXPECT_EQ(listed(parts[0].read), (std::vector<int32_t>{1, 2}));
    EXPECT_TRUE(parts[1].draws.empty() && parts[1].read.empty());
    EXPECT_EQ(listed(parts[2].rows), (std::vector<int32_t>{1, 0}));
    EXPECT_EQ(listed(parts.places(2)), (std::vector<size_t>{0, 5}));
    EXPECT_TRUE(parts[2].read.empty());
    EXPECT_TRUE(parts[3].draws.empty());
    EXPECT_EQ(listed(parts[4].rows), (std::vector<int32_t>{1}));
    EXPECT_EQ(parts[4].draws[0].seed, 14u);
    EXPECT_EQ(listed(parts[4].read), (std::vector<int32_t>{0}));
  }
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
