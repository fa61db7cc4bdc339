#include "models/deepseek_v3/weights/expert_table.h"

#include <gtest/gtest.h>

#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

// A layer without experts between two with three each, whose weights are addresses only.
class ExpertTableTest : public ::testing::Test {
 protected:
  ExpertTableTest() {
    weights_.blocks.resize(3);
    for (const size_t block : {0, 2}) {
      MoeWeights& moe = weights_.blocks[block].moe.emplace();
      for (int i = 0; i < 3; ++i) {
        moe.w1.push_back(matrix(8, 16));
        moe.w3.push_back(matrix(8, 16));
        moe.w2.push_back(matrix(16, 8));
      }
    }
  }

  Weight matrix(int64_t n, int64_t k) {
    Weight weight = weight_in_rows(FATHOM_F8_E4M3, n, k);
    weight.data = &memory_[next_++];
    weight.scale = reinterpret_cast<const float*>(&memory_[next_++]);
    return weight;
  }
  MoeWeights& last() { return *weights_.blocks[2].moe; }

  static void expect_entry(const MoeWeights& moe, size_t number) {
    const fathom_expert& entry = moe.table[number];
    EXPECT_EQ(entry.gate, moe.w1[number].data);
    EXPECT_EQ(entry.up, moe.w3[number].data);
    EXPECT_EQ(entry.down, moe.w2[number].data);
    EXPECT_EQ(entry.gate_scale, moe.w1[number].scale);
    EXPECT_EQ(entry.up_scale, moe.w3[number].scale);
    EXPECT_EQ(entry.down_scale, moe.w2[number].scale);
  }

  double memory_[64] = {};
  size_t next_ = 0;
  FakeChip chip_ = {.capabilities = 0};
  std::unique_ptr<device::Device> device_ = chip_.open();
  Weights weights_;
};

TEST_F(ExpertTableTest, HasEachExpertsAddresses) {
  ASSERT_TRUE(make_expert_tables(weights_, 3, *device_).ok());
  for (const size_t block : {0, 2}) {
    for (size_t i = 0; i < 3; ++i) expect_entry(*weights_.blocks[block].moe, i);
  }
  const ops::MoeExperts experts = experts_of(last());
  EXPECT_EQ(experts.table, last().table);
  EXPECT_EQ(experts.count, 3);
  EXPECT_EQ(experts.gate.data, nullptr);
  EXPECT_EQ(experts.down.scale, nullptr);
  EXPECT_EQ(experts.down.n, 16);
}

TEST_F(ExpertTableTest, AnEntryChanges) {
  ASSERT_TRUE(make_expert_tables(weights_, 3, *device_).ok());
  const fathom_expert before = last().table[0];
  last().w1[1] = matrix(8, 16);
  last().w2[1] = matrix(16, 8);
  ASSERT_TRUE(update_expert(last(), 1, 5, *device_).ok());
  expect_entry(last(), 1);
  EXPECT_EQ(last().table[0].gate, before.gate);
}

TEST_F(ExpertTableTest, ExpertsThatDifferAreRefused) {
  last().w3[2].dtype = FATHOM_BF16;
  const auto made = make_expert_tables(weights_, 3, *device_);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("model.layers.5.mlp.experts: expected up_proj.weight"),
            std::string::npos)
      << made.error().message;
  last().w3[2] = last().w3[1];
  ASSERT_TRUE(make_expert_tables(weights_, 3, *device_).ok());
  last().w2[0].layout = kFakeLayout;
  EXPECT_FALSE(update_expert(last(), 0, 5, *device_).ok());
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
