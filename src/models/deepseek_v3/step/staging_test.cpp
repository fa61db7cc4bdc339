#include "models/deepseek_v3/step/staging.h"

#include <gtest/gtest.h>

#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

TEST(Staging, MemoryOfTheHostStandsForItself) {
  FakeChip chip;
  const auto device = chip.open();
  Staging staging = Staging::make(*device, 16).value();
  int32_t memory[4] = {1, 2, 3, 4};
  EXPECT_EQ(staging.host(memory), memory);
  EXPECT_TRUE(staging.fetch(memory, 1000).ok());
  EXPECT_EQ(staging.bytes(), 0u);
}

TEST(Staging, ACopyStandsForMemoryOfTheChip) {
  FakeChip chip = {.capabilities = 0};
  const auto device = chip.open();
  Staging staging = Staging::make(*device, 16).value();
  int32_t memory[4] = {1, 2, 3, 4};
  int32_t* host = staging.host(memory);
  ASSERT_NE(host, memory);
  EXPECT_TRUE(staging.fetch(memory, 16).ok());
  EXPECT_EQ(host[3], 4);
  host[0] = host[1] = 9;
  EXPECT_TRUE(staging.put(memory, 4, 4).ok());
  EXPECT_EQ(memory[0], 1);
  EXPECT_EQ(memory[1], 9);
  EXPECT_EQ(memory[2], 3);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
