#include "models/deepseek_v3/forward/expert_counts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

// A chip whose memory is the host's, or one with copies only.
class ExpertCountsTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  static constexpr int64_t kLayers = 2, kExperts = 3;

  std::vector<float> counted(int64_t layer) {
    const auto counts = counts_.counted(layer);
    return {counts.begin(), counts.end()};
  }

  FakeChip chip_ = {.capabilities = GetParam()};
  std::unique_ptr<device::Device> device_ = chip_.open();
  device::Buffer buffer_ = device_->alloc(ExpertCounts::bytes(kLayers, kExperts)).value();
  int64_t* memory_ = static_cast<int64_t*>(buffer_.data());
  ExpertCounts counts_;
};

TEST_P(ExpertCountsTest, AreWhatWasAddedSinceTheLastTime) {
  std::fill_n(memory_, kLayers * kExperts, int64_t{7});  // fresh memory holds anything
  counts_ = ExpertCounts::make(*device_, memory_, kLayers, kExperts).value();
  ASSERT_TRUE(counts_.read().ok());
  EXPECT_EQ(counted(0), (std::vector<float>{0, 0, 0}));
  counts_.totals(0)[1] += 5;
  counts_.totals(1)[0] += int64_t{1} << 40;
  ASSERT_TRUE(counts_.read().ok());
  EXPECT_EQ(counted(0), (std::vector<float>{0, 5, 0}));
  EXPECT_EQ(counted(1), (std::vector<float>{1099511627776.0f, 0, 0}));
  counts_.counted(0)[1] = 100;  // as sums over ranks do
  counts_.totals(0)[1] += 2;
  counts_.totals(1)[0] += 3;
  ASSERT_TRUE(counts_.read().ok());
  EXPECT_EQ(counted(0), (std::vector<float>{0, 2, 0}));
  EXPECT_EQ(counted(1), (std::vector<float>{3, 0, 0}));
}

INSTANTIATE_TEST_SUITE_P(Memory, ExpertCountsTest,
                         ::testing::Values(uint32_t{FATHOM_CAP_HOST_MEMORY}, uint32_t{0}));

}  // namespace
}  // namespace fathom::models::deepseek_v3
